"""LaTeX's names of signs, letters, functions and the like, and what they are in Unicode."""

from __future__ import annotations

from collections.abc import Sequence

THIN, WIDE, FIXED = "\u2009", "\u2003", "\u00a0"
"""Spaces: a fifth of the font's size, the whole, and one at which no line ends."""


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LETTERS = _pairs(
    "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν "
    "xi ξ omicron ο pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω ell ℓ "
    "imath ı jmath ȷ"
)
ORDINARY = _pairs(
    "Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω infty ∞ partial ∂ nabla ∇ hbar ℏ "
    "Re ℜ Im ℑ aleph ℵ forall ∀ exists ∃ nexists ∄ emptyset ∅ varnothing ∅ angle ∠ triangle △ square □ blacksquare ■ "
    "degree ° prime ′ dots … ldots … cdots ⋯ vdots ⋮ ddots ⋱ dotsc … dotsb ⋯ top ⊤ bot ⊥ neg ¬ lnot ¬ checkmark ✓ "
    "% % $ $ # # & & _ _ | ‖ "
    "dagger † ddagger ‡ star ⋆ bullet • vert | Vert ‖ lvert | rvert | lVert ‖ rVert ‖ copyright © pounds £ yen ¥ euro € "
    "therefore ∴ because ∵ clubsuit ♣ diamondsuit ♢ heartsuit ♡ spadesuit ♠ flat ♭ natural ♮ sharp ♯ qed ∎ wp ℘ backslash \\"
)
BINARY = _pairs(
    "pm ± mp ∓ times × div ÷ cdot · ast ∗ circ ∘ cup ∪ cap ∩ sqcup ⊔ sqcap ⊓ wedge ∧ land ∧ vee ∨ lor ∨ oplus ⊕ ominus ⊖ "
    "otimes ⊗ oslash ⊘ odot ⊙ setminus ∖ smallsetminus ∖ amalg ⨿ bmod mod uplus ⊎ triangleleft ◁ triangleright ▷"
)
RELATIONS = _pairs(
    "leq ≤ le ≤ leqslant ≤ geq ≥ ge ≥ geqslant ≥ neq ≠ ne ≠ lt < gt > approx ≈ equiv ≡ sim ∼ simeq ≃ cong ≅ propto ∝ ll ≪ "
    "gg ≫ in ∈ notin ∉ ni ∋ subset ⊂ subseteq ⊆ subsetneq ⊊ supset ⊃ supseteq ⊇ nsubseteq ⊈ to → rightarrow → leftarrow ← "
    "gets ← leftrightarrow ↔ Rightarrow ⇒ Leftarrow ⇐ Leftrightarrow ⇔ implies ⟹ impliedby ⟸ iff ⟺ Longrightarrow ⟹ "
    "Longleftarrow ⟸ Longleftrightarrow ⟺ longrightarrow ⟶ longleftarrow ⟵ mapsto ↦ longmapsto ⟼ hookrightarrow ↪ uparrow ↑ "
    "downarrow ↓ updownarrow ↕ Uparrow ⇑ Downarrow ⇓ nearrow ↗ searrow ↘ rightharpoonup ⇀ rightleftharpoons ⇌ mid | nmid ∤ "
    "parallel ∥ perp ⊥ vdash ⊢ dashv ⊣ models ⊨ vDash ⊨ prec ≺ succ ≻ preceq ≼ succeq ≽ asymp ≍ doteq ≐ triangleq ≜ "
    "coloneqq ≔ colon : lesssim ≲ gtrsim ≳ bowtie ⋈ xrightarrow → xleftarrow ←"
)
LARGE = _pairs(
    "sum ∑ prod ∏ coprod ∐ int ∫ iint ∬ iiint ∭ oint ∮ bigcup ⋃ bigcap ⋂ bigoplus ⨁ bigotimes ⨂ bigvee ⋁ bigwedge ⋀"
)
FUNCTIONS = _words(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp lim limsup liminf max min sup inf arg det "
    "dim deg ker gcd lcm hom Pr argmax argmin tr rank sgn softmax"
)
OPENING = _pairs("{ { langle ⟨ lfloor ⌊ lceil ⌈ lbrace { lbrack [")
CLOSING = _pairs("} } rangle ⟩ rfloor ⌋ rceil ⌉ rbrace } rbrack ]")
SPACES = {
    ",": THIN,
    ":": THIN,
    ";": THIN,
    ">": THIN,
    " ": " ",
    "quad": WIDE,
    "qquad": WIDE * 2,
    "enspace": "\u2002",
}
ACCENTS = {
    **dict.fromkeys(("hat", "widehat"), "\u0302"),
    **dict.fromkeys(("tilde", "widetilde"), "\u0303"),
    **dict.fromkeys(("bar", "overline"), "\u0305"),
    **dict.fromkeys(("vec", "overrightarrow"), "\u20d7"),
    "dot": "\u0307",
    "ddot": "\u0308",
    "check": "\u030c",
    "underline": "\u0332",
}
WORDS = frozenset(
    (
        "text",
        "textrm",
        "textnormal",
        "textbf",
        "textit",
        "textsf",
        "texttt",
        "mbox",
        "hbox",
        "operatorname",
        "tag",
        "ce",
    )
)
FONTS = {
    **dict.fromkeys(("mathrm", "mathsf", "mathtt", "mathop", "mathord", "mathbin", "mathrel"), "upright"),
    **dict.fromkeys(("mathbf", "boldsymbol", "bm", "pmb", "boxed", "fbox"), "bold"),
    **dict.fromkeys(("mathbb", "mathcal", "mathscr", "mathfrak"), "drawn"),
    "mathit": "",
}
DRAWN = {
    "mathbb": dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True)),
    **{name: dict(zip("BEFHILMR", "ℬℰℱℋℐℒℳℛ", strict=True)) for name in ("mathcal", "mathscr")},
    "mathfrak": dict(zip("CHIRZ", "ℭℌℑℜℨ", strict=True)),
}
"""Letters that ordinary fonts have; the others are shown bold."""
IGNORED = _words(
    "displaystyle textstyle scriptstyle limits nolimits rm bf it cal left right middle big Big bigg Bigg bigl bigr Bigl Bigr "
    "biggl biggr Biggl Biggr nonumber notag hline ! / - displaylimits normalsize large small"
)
IGNORED_WITH_ARGUMENT = frozenset(("label", "color", "phantom", "hspace", "hspace*", "vspace", "vspace*", "hphantom"))
LINES = _words(
    "aligned align align* alignat alignat* gather gather* gathered split equation equation* eqnarray eqnarray* multline"
)
BRACKETS: dict[str, Sequence[str]] = {
    "pmatrix": "()",
    "bmatrix": "[]",
    "Bmatrix": "{}",
    "vmatrix": "||",
    "Vmatrix": "‖‖",
    "cases": (f"{{{FIXED}", ""),
}
NOT = {"=": "≠", "∈": "∉", "⊂": "⊄", "⊆": "⊈", "≡": "≢", "∃": "∄", "<": "≮", ">": "≯"}
ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}
SMALL = {
    "super": str.maketrans("0123456789+−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ"),
    "sub": str.maketrans("0123456789+−=()ij", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ᵢⱼ"),
}
"""Scripts of scripts."""
