"""Training a network in another way while its architecture and its weights stay as they are.

`wrapper` puts a treatment around any optimiser, `gradients` and `updates` hold the treatments,
`exchange` builds other optimisers with the groups of the old one, `curvature` and `sweep` measure
which learning rates a network can stand, `noise` which of its gradients are only rounding.
"""
