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
        "krogh1991",
        "Krogh and Hertz",
        1991,
        "A simple weight decay can improve generalization",
        "NeurIPS",
    ),
    Source(
        "loshchilov2019",
        "Loshchilov and Hutter",
        2019,
        "Decoupled weight decay regularization",
        "ICLR",
    ),
    Source(
        "dong2021",
        "Dong, Cordonnier and Loukas",
        2021,
        "Attention is not all you need: pure attention loses rank doubly exponentially with depth",
        "ICML",
    ),
    Source(
        "srivastava2015",
        "Srivastava, Greff and Schmidhuber",
        2015,
        "Training very deep networks",
        "NeurIPS",
    ),
    Source(
        "shazeer2017",
        "Shazeer and others",
        2017,
        "Outrageously large neural networks: the sparsely-gated mixture-of-experts layer",
        "ICLR",
    ),
    Source(
        "xiong2020",
        "Xiong and others",
        2020,
        "On layer normalization in the transformer architecture",
        "ICML",
    ),
    Source(
        "zhai2023",
        "Zhai and others",
        2023,
        "Stabilizing transformer training by preventing attention entropy collapse",
        "ICML",
    ),
    Source(
        "hochreiter1991",
        "Hochreiter",
        1991,
        "Untersuchungen zu dynamischen neuronalen Netzen",
        "Diploma thesis, TU München",
    ),
    Source(
        "hochreiter1997",
        "Hochreiter and Schmidhuber",
        1997,
        "Long short-term memory",
        "Neural Computation 9",
    ),
    Source(
        "tallec2018",
        "Tallec and Ollivier",
        2018,
        "Can recurrent neural networks warp time?",
        "ICLR",
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
        "pennington2017",
        "Pennington, Schoenholz and Ganguli",
        2017,
        "Resurrecting the sigmoid in deep learning through dynamical isometry: theory and practice",
        "NeurIPS",
    ),
    Source(
        "balduzzi2017",
        "Balduzzi, Frean, Leary, Lewis, Ma and McWilliams",
        2017,
        "The shattered gradients problem: if resnets are the answer, then what is the question?",
        "ICML",
    ),
    Source(
        "daneshmand2020",
        "Daneshmand, Kohler, Bach, Hofmann and Lucchi",
        2020,
        "Batch normalization provably avoids rank collapse for randomly initialised deep networks",
        "NeurIPS",
    ),
    Source(
        "saxe2014",
        "Saxe, McClelland and Ganguli",
        2014,
        "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
        "ICLR",
    ),
    Source(
        "hu2022",
        "Hu and others",
        2022,
        "LoRA: low-rank adaptation of large language models",
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
    Source(
        "bridle1990",
        "Bridle",
        1990,
        "Probabilistic interpretation of feedforward classification network outputs, with "
        "relationships to statistical pattern recognition",
        "Neurocomputing, NATO ASI Series 68",
    ),
    Source(
        "lecun1998",
        "LeCun, Bottou, Orr and Müller",
        1998,
        "Efficient BackProp",
        "Neural Networks: Tricks of the Trade",
    ),
    Source(
        "bengio2013",
        "Bengio, Léonard and Courville",
        2013,
        "Estimating or propagating gradients through stochastic neurons for conditional "
        "computation",
        "arXiv 1308.3432",
    ),
    Source(
        "goodfellow2014",
        "Goodfellow and others",
        2014,
        "Generative adversarial nets",
        "NeurIPS",
    ),
    Source(
        "chen2016",
        "Chen, Xu, Zhang and Guestrin",
        2016,
        "Training deep nets with sublinear memory cost",
        "arXiv 1604.06174",
    ),
    Source(
        "mccandlish2018",
        "McCandlish, Kaplan, Amodei and the OpenAI Dota Team",
        2018,
        "An empirical model of large-batch training",
        "arXiv 1812.06162",
    ),
    Source(
        "cohen2021",
        "Cohen, Kaur, Li, Kolter and Talwalkar",
        2021,
        "Gradient descent on neural networks typically occurs at the edge of stability",
        "ICLR",
    ),
    Source(
        "lewkowycz2020",
        "Lewkowycz, Bahri, Dyer, Sohl-Dickstein and Gur-Ari",
        2020,
        "The large learning rate phase of deep learning: the catapult mechanism",
        "arXiv 2003.02218",
    ),
    Source(
        "wortsman2024",
        "Wortsman and others",
        2024,
        "Small-scale proxies for large-scale transformer training instabilities",
        "ICLR",
    ),
    Source(
        "gers2000",
        "Gers, Schmidhuber and Cummins",
        2000,
        "Learning to forget: continual prediction with LSTM",
        "Neural Computation 12",
    ),
    Source(
        "jozefowicz2015",
        "Jozefowicz, Zaremba and Sutskever",
        2015,
        "An empirical exploration of recurrent network architectures",
        "ICML",
    ),
    Source(
        "le2015",
        "Le, Jaitly and Hinton",
        2015,
        "A simple way to initialize recurrent networks of rectified linear units",
        "arXiv 1504.00941",
    ),
    Source(
        "cho2014",
        "Cho and others",
        2014,
        "Learning phrase representations using RNN encoder-decoder for statistical machine "
        "translation",
        "EMNLP",
    ),
    Source(
        "radford2019",
        "Radford, Wu, Child, Luan, Amodei and Sutskever",
        2019,
        "Language models are unsupervised multitask learners",
        "OpenAI",
    ),
    Source(
        "huang2020",
        "Huang, Perez, Ba and Volkovs",
        2020,
        "Improving transformer optimization through better initialization",
        "ICML",
    ),
    Source(
        "henry2020",
        "Henry, Dachapally, Pawar and Chen",
        2020,
        "Query-key normalization for transformers",
        "Findings of EMNLP",
    ),
    Source(
        "dehghani2023",
        "Dehghani and others",
        2023,
        "Scaling vision transformers to 22 billion parameters",
        "ICML",
    ),
    Source(
        "vaswani2017",
        "Vaswani and others",
        2017,
        "Attention is all you need",
        "NeurIPS",
    ),
)

SOURCES: Final = {work.key: work for work in _WORKS}
