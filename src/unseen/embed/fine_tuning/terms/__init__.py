"""Systematic terms: what stage B adds to the contrastive loss. Extending is one file and one line in `METHODS`."""

from unseen.embed.fine_tuning.terms.alignment import Alignment
from unseen.embed.fine_tuning.terms.base import Term, TermProblem
from unseen.embed.fine_tuning.terms.equivariance import Equivariance
from unseen.embed.fine_tuning.terms.likelihood import Likelihood, cross_entropy
from unseen.embed.fine_tuning.terms.rs3l import Rs3l

__all__ = ["METHODS", "Likelihood", "Term", "TermProblem", "cross_entropy"]

METHODS: dict[str, type[Term]] = {
    "covariant": Likelihood,
    "invariant": Alignment,
    "equivariant": Equivariance,
    "rs3l": Rs3l,
}
