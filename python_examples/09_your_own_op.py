"""09. An op of your own, with its gradient, checked.

Every op of the library is a value and a rule for its gradient, joined by isobit.record. Yours are no different. Here is
swish_b(x) = x * sigmoid(b * x), an activation with a parameter that is learned:

    d/dx = s + b x s (1 - s)        with s = sigmoid(b x)
    d/db = sum of x^2 s (1 - s)

The rule is written with differentiable ops, so second derivatives come by themselves. A rule can be wrong, and a network
with a wrong gradient still learns, only worse. So it is checked: against the slope (f(x + h) - f(x - h)) / 2h in f64. The
second figure shows the error of that slope for many h: too large a step sees the curve bend (the error falls as h^2), too
small a one drowns in rounding (it rises as 1/h). A right gradient gives the V; a wrong one, drawn beside it, stays up.
"""

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import arguments, save

args = arguments(__doc__)


# %% The op
def swish(x, b):
    with isobit.no_grad():  # the value: a fresh tensor without history
        y = x * isobit.sigmoid(x * b)

    def backward(context):
        x, b = context.saved(0), context.saved(1)
        s = isobit.sigmoid(x * b)
        bend = s * (1.0 - s)
        dx = context.dy * (s + b * x * bend)
        db = isobit.sum(context.dy * isobit.square(x) * bend).reshape(b.shape)
        return [dx, db]

    return isobit.record("swish", [x, b], y, [x, b], backward)


# %% Its value and its derivatives
x = isobit.arange(241, -6, 0.05, dtype="f64", device=args.device).set_requires_grad()
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharex=True)
for value in (0.5, 1.0, 3.0):
    b = isobit.full((1,), value, dtype="f64", device=args.device).set_requires_grad()
    y = swish(x, b)
    (first,) = isobit.grad(isobit.sum(y), x, create_graph=True)
    (second,) = isobit.grad(isobit.sum(first), x)
    for axis, curve in zip(axes, (y, first, second)):
        axis.plot(x.detach().to("cpu").numpy(), curve.detach().to("cpu").numpy(), label=f"b = {value}")
for axis, title in zip(axes, ("swish(x)", "first derivative", "second derivative")):
    axis.set(title=title, xlabel="x")
axes[0].legend(frameon=False)
save(figure, args, "09_swish.png")

# %% The check
points = isobit.random_normal((50,), isobit.random_key(3, "points"), dtype="f64", device=args.device)


def loss(x, b):
    return isobit.sum(isobit.square(swish(x, b)))


def slope(f, at, h):
    """Central differences: one slope for each element of `at`."""
    values = at.detach().to("cpu").numpy()
    slopes = np.empty(values.size)
    for i in range(values.size):
        step = np.zeros(values.shape)
        step.flat[i] = h
        up = f(isobit.tensor(values + step, device=args.device)).item()
        down = f(isobit.tensor(values - step, device=args.device)).item()
        slopes[i] = (up - down) / (2 * h)
    return slopes


x = points.clone().set_requires_grad()
b = isobit.full((1,), 1.3, dtype="f64", device=args.device).set_requires_grad()
dx, db = isobit.grad(loss(x, b), [x, b])
dx = dx.to("cpu").numpy()
error_x = np.abs(slope(lambda v: loss(v, b.detach()), x, 1e-5) - dx).max()
error_b = np.abs(slope(lambda v: loss(x.detach(), v), b, 1e-5) - db.item()).max()
print(f"largest error of d/dx {error_x:.2g}, of d/db {error_b:.2g}")
assert error_x < 1e-7 and error_b < 1e-7, "the gradient is wrong"

steps = np.logspace(-12, -1, 12 if args.quick else 34)
right = [np.abs(slope(lambda v: loss(v, b.detach()), x, h) - dx).max() for h in steps]
wrong_dx = dx * 1.001  # a mistake of one in a thousand
wrong = [np.abs(slope(lambda v: loss(v, b.detach()), x, h) - wrong_dx).max() for h in steps]
figure, axis = plt.subplots(figsize=(8, 4.4))
axis.loglog(steps, right, "o-", label="the gradient above")
axis.loglog(steps, wrong, "s--", label="the same, wrong by one in a thousand")
axis.set(xlabel="step h of the slope", ylabel="largest error")
axis.legend(frameon=False)
save(figure, args, "09_check.png")
