"""Sick patients of the zoo train to their goal once they were treated, in their own budget."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
import torch

from unvanish.recipe import seeded
from unvanish.treat.treatment import treat
from unvanish.zoo.patient import module_of
from unvanish.zoo.training import begin

PAIRS = [
    ("drop-inner-softmax", "softmax_over_one_unit"),
    ("logits-loss", "saturated_sigmoid_output"),
    ("straight-through", "binary_weights"),
    ("straight-through-choice", "argmax_between_two_networks"),
    ("open-gate", "highway_bias_minus_10"),
    ("soften-router", "moe_router_saturated"),
    ("soften-router", "moe_starved_experts"),
    ("reattach", "detached_features"),
    ("reattach", "item_in_forward"),
    ("guard-singularity", "distance_to_itself"),
    ("positive-output", "log_of_zero"),
    ("train-parameter", "embedding_not_in_optimizer"),
    ("train-parameter", "layers_in_a_plain_list"),
    ("standardise-input", "features_in_their_own_units"),
]


@pytest.mark.parametrize(("remedy", "name"), PAIRS, ids=[f"{r}-{n}" for r, n in PAIRS])
def test_a_treated_patient_recovers(remedy: str, name: str) -> None:
    module = module_of(name)
    with seeded(0):
        trial = begin(name)
        batch = next(trial.batches())
        treated = treat(
            trial.model,
            remedy,
            batch,
            trial.loss,
            optimizer=trial.optimizer,
            autocast=trial.autocast or "",
        )
        assert treated.optimizer is not None
        trial = replace(trial, model=treated.model, optimizer=treated.optimizer, loss=treated.loss)
        for one in islice(trial.batches(), module.PATIENT.steps):
            loss = trial.forward(one)
            trial.backward(loss)
            trial.update()
        treated.model.eval()
        with torch.no_grad():
            metric = float(module.metric(treated.model))
    reached = metric >= module.GOAL if module.HIGHER_IS_BETTER else metric <= module.GOAL
    assert reached, f"{metric:.3g}, where {module.GOAL} is the goal"
