"""Sentences about anything, by which it is told whether a passage is nearer to a question than any text is.

Cosines of an embedding model have no zero: between any two Chinese sentences multilingual-e5-small's is above 0.8, between a
Chinese and an English one it is lower. So that a passage's cosine is held against those of these sentences in its language.
"""

from __future__ import annotations

from desktop_app.documents.chunking import wide_characters

CHINESE = (
    "昨天下午下了一场大雨，路上的车都开得很慢。",
    "先把锅烧热，再放油和葱姜，炒出香味以后加入切好的肉片。",
    "这家公司今年的收入比去年增加了百分之十二。",
    "学生应当在开学以前把报名表交到教务处。",
    "长城是古代为了防御而修建的，全长超过两万公里。",
    "如果发烧超过三天，应该去医院做检查。",
    "程序启动时会读取配置文件，找不到就使用默认值。",
    "比赛最后一分钟，主队踢进了决定胜负的一球。",
    "他年轻的时候喜欢写诗，后来成了一名记者。",
    "合同到期前一个月，双方可以协商是否续签。",
    "月球绕地球一周大约需要二十七天。",
    "孩子们在公园里放风筝，老人坐在树下下棋。",
)
OTHER = (
    "It rained heavily yesterday afternoon, and the traffic moved slowly.",
    "Heat the pan first, add oil and onions, and then fry the sliced meat until it is brown.",
    "The company's income grew by twelve percent this year.",
    "Students hand in the form at the office before the term begins.",
    "The wall was built long ago for defence and is many thousand miles long.",
    "If the fever lasts longer than three days, see a doctor.",
    "The program reads its configuration at the start and falls back to default values.",
    "In the last minute of the match the home team scored the deciding goal.",
    "He wrote poems when he was young and later became a journalist.",
    "One month before the contract ends, both sides may agree to renew it.",
    "The moon travels around the earth in about twenty-seven days.",
    "Children fly kites in the park while old people play chess under the trees.",
)


def is_wide(text: str) -> bool:
    """Tell whether a passage is mostly Chinese, Japanese or Korean."""
    return wide_characters(text) * 4 > len(text)
