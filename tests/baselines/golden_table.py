"""A line for each golden array that a test compares: what it checks, how far ours is off, and what is allowed.

    pytest -s tests/baselines          prints the table

What the official code left in the golden files and no test compares, with the reason:

    pulse       loss/l1*                      the optional L1 term, which ours has not (case C adds it in the test)
                schedule/fixed_*              a constant
                n_yielded                     that the official code gave no image back; ours always does
    brgm        lambdas_*                     the published weights, which are the defaults here
    ddrm        op/*/U*, Vt_vec, *_small      coefficients in a basis whose signs are arbitrary; of them ours needs none
    ilo         all, and ilo_rounds           the method is not among those of this library
"""

import torch


def compare(name: str, ours: torch.Tensor, arrays: dict, tolerance: float, *, relative: bool = True) -> None:
    """Assert that ours agrees with the array `name`, within `tolerance`, times its scale if `relative`."""
    wanted = arrays[name].double()
    ours = torch.as_tensor(ours).detach().double().reshape(wanted.shape)
    scale = wanted.abs().max().item() if relative else 1.0
    error = (ours - wanted).abs().max().item()
    print(f"{name:48} scale {wanted.abs().max().item():9.3g}  off {error:8.1e}  allowed {tolerance * scale:8.1e}")
    assert error <= tolerance * scale, f"{name}: off by {error:.2e}, allowed {tolerance * scale:.2e}"
