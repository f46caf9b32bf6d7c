r"""What each step of one backward pass does to a gradient without preferred direction.

Every step is linear in the gradient: c = J^T g. For a g of n independent entries of one size,
E |c|^2 = |g|^2 |J|_F^2 / n, so that

    log |c| / |g|  =  log |J|_F / sqrt(n)   +   log (|c| sqrt(n)) / (|g| |J|_F)
                      (scale)                    (alignment, 0 without preferred direction)

splits what is measured exactly. |J|_F is one norm of what the step has kept for its backward pass:
of the other operand of a product, of a kernel weighed with how often each tap meets the map.

A normalisation y = gamma x^ + beta, x^ = (x - mean) / sigma, is split by the gradient itself:
c = P (gamma g) / sigma, with P the projection that takes out the mean and x^, so that

    log |c| / |g| = log |gamma g| / |g|  +  log |P gamma g| / |gamma g|  +  log |c| / |sigma c|.
                    (affine)                (projection)                    (1 / deviation)

Source: short derivations; for the kernel, every pair of an output position and a tap that meets
the map is one entry of J.
"""

from unvanish.observe.local.collector import LocalFactors

__all__ = ["LocalFactors"]
