"""The bibliography: one entry a work, cited by key from rules, theory and lessons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Source:
    """One work that a number or a formula comes from."""

    key: str
    authors: str
    year: int
    title: str
    venue: str

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}). {self.title}. {self.venue}."


_WORKS = (
    Source(
        "hochreiter1991",
        "Hochreiter",
        1991,
        "Untersuchungen zu dynamischen neuronalen Netzen",
        "Diploma thesis, TU München",
    ),
    Source(
        "glorot2010",
        "Glorot and Bengio",
        2010,
        "Understanding the difficulty of training deep feedforward neural networks",
        "AISTATS",
    ),
    Source(
        "he2015",
        "He, Zhang, Ren and Sun",
        2015,
        "Delving deep into rectifiers: surpassing human-level performance on ImageNet",
        "ICCV",
    ),
    Source(
        "pascanu2013",
        "Pascanu, Mikolov and Bengio",
        2013,
        "On the difficulty of training recurrent neural networks",
        "ICML",
    ),
    Source(
        "poole2016",
        "Poole, Lahiri, Raghu, Sohl-Dickstein and Ganguli",
        2016,
        "Exponential expressivity in deep neural networks through transient chaos",
        "NeurIPS",
    ),
    Source(
        "schoenholz2017",
        "Schoenholz, Gilmer, Ganguli and Sohl-Dickstein",
        2017,
        "Deep information propagation",
        "ICLR",
    ),
    Source(
        "yang2019",
        "Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz",
        2019,
        "A mean field theory of batch normalization",
        "ICLR",
    ),
    Source(
        "lu2020",
        "Lu, Shin, Su and Karniadakis",
        2020,
        "Dying ReLU and initialization: theory and numerical examples",
        "Communications in Computational Physics 28",
    ),
    Source(
        "kingma2015",
        "Kingma and Ba",
        2015,
        "Adam: a method for stochastic optimization",
        "ICLR",
    ),
    Source(
        "micikevicius2018",
        "Micikevicius and others",
        2018,
        "Mixed precision training",
        "ICLR",
    ),
    Source(
        "bachlechner2021",
        "Bachlechner, Majumder, Mao, Cottrell and McAuley",
        2021,
        "ReZero is all you need: fast convergence at large depth",
        "UAI",
    ),
    Source(
        "cooper2001",
        "Cooper, Harvey and Kennedy",
        2001,
        "A simple, fast dominance algorithm",
        "Software: Practice and Experience 4",
    ),
    Source(
        "paszke2019",
        "Paszke and others",
        2019,
        "PyTorch: an imperative style, high-performance deep learning library",
        "NeurIPS",
    ),
)

SOURCES: Final = {work.key: work for work in _WORKS}
