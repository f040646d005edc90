"""By which cosine it is told whether a passage has to do with a question: a measure that each embedding model is given by itself.

Cosines of embedding models have no common zero and no common unit. Between any two Chinese sentences multilingual-e5-small's is
above 0.8, between two English ones it is lower, and MiniLM's is about 0; what belongs together is nearer by 0.1 there, and by 0.5
here. So a model is measured once with questions and sentences about anything: how near a question is to sentences about something
else is its zero, how much nearer to its own one its unit, in Chinese and in other languages.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from desktop_app.documents.chunking import wide_characters
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.store import Store, StoreError

OTHER = (
    ("How was the weather yesterday?", "It rained heavily yesterday afternoon, and the traffic moved slowly."),
    (
        "In which order is meat fried?",
        "Heat the pan first, add oil and onions, and then fry the sliced meat until it is brown.",
    ),
    ("How much did the firm earn compared with last year?", "The company's income grew by twelve percent this year."),
    ("When and where do students register?", "Students hand in the form at the office before the term begins."),
    (
        "Why was the wall built, and how long is it?",
        "The wall was built long ago for defence and is many thousand miles long.",
    ),
    (
        "What should I do about a high temperature that does not go down?",
        "If the fever lasts longer than three days, see a doctor.",
    ),
    (
        "What happens when the configuration is missing?",
        "The program reads its configuration at the start and falls back to default values.",
    ),
    ("How was the game decided?", "In the last minute of the match the home team scored the deciding goal."),
    ("What did the journalist do in his youth?", "He wrote poems when he was young and later became a journalist."),
    ("How is a contract renewed?", "One month before the contract ends, both sides may agree to renew it."),
    ("How long does the moon need for one orbit?", "The moon travels around the earth in about twenty-seven days."),
    ("What do people do in the park?", "Children fly kites in the park while old people play chess under the trees."),
)
"""Questions, and sentences that answer them."""
CHINESE = (
    ("昨天的天气和交通怎么样？", "昨天下午下了一场大雨，路上的车都开得很慢。"),
    ("炒肉应该按什么顺序做？", "先把锅烧热，再放油和葱姜，炒出香味以后加入切好的肉片。"),
    ("公司今年的业绩增长了多少？", "这家公司今年的收入比去年增加了百分之十二。"),
    ("新生要在什么时候、到哪里报名？", "学生应当在开学以前把报名表交到教务处。"),
    ("长城是为了什么而建的，有多长？", "长城是古代为了防御而修建的，全长超过两万公里。"),
    ("一直发烧怎么办？", "如果发烧超过三天，应该去医院做检查。"),
    ("没有配置文件时程序会怎样？", "程序启动时会读取配置文件，找不到就使用默认值。"),
    ("比赛是怎么分出胜负的？", "比赛最后一分钟，主队踢进了决定胜负的一球。"),
    ("那位记者年轻时有什么爱好？", "他年轻的时候喜欢写诗，后来成了一名记者。"),
    ("合同快到期时要怎么续签？", "合同到期前一个月，双方可以协商是否续签。"),
    ("月亮转一圈要多久？", "月球绕地球一周大约需要二十七天。"),
    ("公园里的人们在做什么？", "孩子们在公园里放风筝，老人坐在树下下棋。"),
)
_LEAST = 2.0
"""Where a unit is not so many times the spread of unrelated cosines, the model does not tell apart what this language says."""
_NEARER = 0.55
"""Units from the zero at which a passage has to do with a question."""
_ABOVE = 0.42
"""And units from the middle of all passages of the collections, where there are many: they may all be near to any question."""


@dataclass(frozen=True)
class Measure:
    """The zero and the unit of an embedding model's cosines, each for other languages and for Chinese."""

    sentences: tuple[np.ndarray, np.ndarray]
    """Vectors of sentences about anything, float32 [12, dimensions]."""
    units: tuple[float, float]

    def least(self, asked: np.ndarray, middle: float) -> tuple[float, float]:
        """Return the cosines at which passages in other languages, and in Chinese, have to do with a question.

        Args:
            asked: the question's vector, float32 [dimensions].
            middle: the median of its cosines with all passages; -1: there are few.
        """
        zeros = [float((vectors @ asked).mean()) for vectors in self.sentences]
        other, chinese = (
            max(zero + _NEARER * unit, middle + _ABOVE * unit) for zero, unit in zip(zeros, self.units, strict=True)
        )
        return other, chinese


def measure(store: Store, embedder: Embedder) -> Measure:
    """Return an embedding model's measure, which the store keeps: it is the same for all questions."""
    asked, texts = zip(*OTHER, *CHINESE, strict=True)
    key = f"{embedder.name}:{hashlib.sha256(repr((asked, texts)).encode()).hexdigest()[:16]}"
    vectors = store.measure(key)
    if vectors is None or len(vectors) != len(asked) + len(texts):
        vectors = np.concatenate([embedder.vectors(asked, "query"), embedder.vectors(texts, "document")])
        with suppress(StoreError):  # a full disk is no reason to find nothing
            store.keep_measure(key, vectors)
    questions, sentences = vectors[: len(asked)], vectors[len(asked) :]
    half = len(OTHER)
    units = _unit(questions[:half], sentences[:half]), _unit(questions[half:], sentences[half:])
    return Measure((sentences[:half], sentences[half:]), units)


def _unit(questions: np.ndarray, sentences: np.ndarray) -> float:
    """Return how much nearer questions are to their sentences than to the others; infinite where that tells nothing."""
    cosines = questions @ sentences.T
    unrelated = cosines[~np.eye(len(cosines), dtype=bool)]
    unit = float(np.diag(cosines).mean() - unrelated.mean())
    return unit if unit > _LEAST * float(unrelated.std()) else float("inf")


def is_wide(text: str) -> bool:
    """Tell whether a passage is mostly Chinese, Japanese or Korean."""
    return wide_characters(text) * 4 > len(text)
