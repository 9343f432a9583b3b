"""From MLP to CNN: learning translation. Run it from the root: PYTHONPATH=. python docs/tutorials/mlp_to_cnn.py."""

# ruff: noqa: T201

# %% [markdown]
# # From MLP to CNN: learning translation
#
# A convolutional network is a multi-layer perceptron with built-in knowledge: it knows that images can be shifted, and
# what a shift does to their pixels. Can a network *learn* this from data, and tie its weights with it? That
# was an experiment in the talk on *Learning to Convolve* (Diaconu & Worrall, 2019). Here it is in small: a few
# thousand digits, one core, one to three minutes.
#
# To be sure that nothing is known beforehand, we take the grid away: all images go through **one fixed random
# permutation of their pixels**. From here on, no one knows which pixels are neighbours.

# %%
import os
import statistics
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

from orbitconv.data import load
from orbitconv.learn import close_group, fit_action
from orbitconv.nn import OrbitLinear, orbit_layout
from studies.actions.learn_action import LearnAction, learn_action

SMALL = os.environ.get("ORBITCONV_TUTORIAL") == "small"  # a quick run, to see that all of it works
FIGURES = Path(os.environ.get("ORBITCONV_TUTORIAL_FIGURES", Path(__file__).parent / "figures"))
NUM_PAIRS, NUM_TRAIN, NUM_TEST, EPOCHS, SEEDS = (2000, 300, 300, 1, 1) if SMALL else (5000, 3000, 5000, 6, 3)
SIDE, INK = 28, "#1f2328"

torch.manual_seed(0)
plt.rcParams.update({"font.size": 10, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": "#d0d4d9"})


def show(name, rows, captions):
    """Rows of images with words on their left, as a file."""
    figure, axes = plt.subplots(len(rows), len(rows[0]), figsize=(8.6, 0.84 * len(rows) + 0.1), squeeze=False)
    for line, images, words in zip(axes, rows, captions, strict=True):
        for frame, image in zip(line, images, strict=True):
            frame.imshow(image.clip(0, 1).numpy(), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            frame.set(xticks=[], yticks=[])
        line[0].set_ylabel(words, rotation=0, ha="right", va="center", labelpad=8)
    figure.subplots_adjust(left=0.2, right=0.995, top=0.985, bottom=0.015, wspace=0.07, hspace=0.07)
    save(figure, name)


def save(figure, name):
    """A figure as a file."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURES / f"{name}.png", dpi=110, metadata={"Software": None})
    plt.close(figure)


# %% [markdown]
# ## 1. Digits that no one can read

# %%
mnist = load("mnist", "train").take(NUM_TRAIN + NUM_PAIRS, seed=0)
train, unlabelled = mnist.hold_out(NUM_PAIRS, seed=0)
test = load("mnist", "test").take(NUM_TEST, seed=0)
permutation = torch.randperm(SIDE * SIDE)


def scramble(images):
    """All that anybody gets to see: the pixels as a list, in one fixed random order."""
    return images.reshape(len(images), -1)[:, permutation]


digits = test.floats()[:9, 0]
scrambled = scramble(digits)
show("scrambled", [digits, scrambled.reshape(-1, SIDE, SIDE)], ["digits", "scrambled"])
print(f"{len(train):,} labelled digits, {len(unlabelled):,} others without labels, {len(test):,} to test on")

# %% [markdown]
# ![Digits, and the same digits with permuted pixels](figures/scrambled.png)
#
# The lower row is the data. A perceptron does not mind: to it, the upper row is no better. A convolution is of no use
# here, since the pixels in its window come from all over the image.
#
# ## 2. What does a shift do to such a vector?
#
# What we have instead is **pairs**: a scrambled image `f`, and the scrambled image `T f` after the scene moved on
# by one pixel. That is what a sensor sees when its wires are mixed up and the world moves. The digits move about
# first, so that every pixel gets to see some ink; what leaves the frame is gone, and white comes in.
#
# `fit_action` finds the matrix `M` with `T f = M f`, in closed form. It gets nothing but the pairs.


# %%
def move(images, down, right):
    """Every image moved by its own number of rows and columns; zeros come in."""
    wide = nn.functional.pad(images, (SIDE,) * 4)
    rows, cols = (SIDE - steps[:, None] + torch.arange(SIDE) for steps in (down, right))
    return wide[torch.arange(len(images))[:, None, None], rows[:, :, None], cols[:, None, :]]


start = torch.randint(-14, 15, (2, NUM_PAIRS))
before = move(unlabelled.floats(torch.float64)[:, 0], *start)
steps = {"down": (1, 0), "right": (0, 1)}
actions, truth = {}, {}
for name, step in steps.items():
    after = move(before, *(torch.full((NUM_PAIRS,), s) for s in step))
    actions[name] = fit_action((scramble(before), scramble(after)))
    # What it should have found; used to check the answer, and nowhere else.
    pixels = torch.eye(SIDE * SIDE, dtype=torch.float64).reshape(-1, SIDE, SIDE)
    moved = move(pixels, *(torch.full((SIDE * SIDE,), s) for s in step))
    truth[name] = scramble(scramble(moved).T)
    error = (actions[name].matrix - truth[name]).norm() / truth[name].norm()
    print(f"{name:>5}: rank {actions[name].rank} of {SIDE * SIDE}, distance from the true matrix {float(error):.1e}")

# %%
inverse = permutation.argsort()
figure, axes = plt.subplots(1, 2, figsize=(8.6, 4.5))
learned = actions["down"].matrix
for frame, matrix, words in (
    (axes[0], learned, "as it was learned"),
    (axes[1], learned[inverse][:, inverse], "rows and columns unscrambled, to check"),
):
    rows, cols = (matrix.abs() > 0.5).numpy().nonzero()
    frame.scatter(cols, rows, s=1.2, color="#0057b8", linewidths=0)
    frame.set(xlim=(0, SIDE * SIDE), ylim=(SIDE * SIDE, 0), aspect="equal", xticks=[], yticks=[])
    frame.set_title(words, fontsize=10)
figure.subplots_adjust(left=0.01, right=0.99, top=0.93, bottom=0.01, wspace=0.04)
save(figure, "matrices")

# %% [markdown]
# ![The learned matrix, scrambled and unscrambled](figures/matrices.png)
#
# Each dot is an entry of 1: a pixel that moves to another. The rank tells that `M` also found out what a shift
# *loses*: the 28 pixels that leave the frame are mapped to zero, and nothing is mapped to the row that comes in.
#
# ## 3. The grid, recovered
#
# `close_group` makes the two shifts into an exact group: it joins the ends of their chains, so that what leaves on
# one side comes in on the other, and rounds away what noise there is. One pixel is special: neither shift ever
# moves anything to it. That is the corner, `group.origin`. And the **orbit of the corner**, all that the shifts
# make of it, is the pixel grid.

# %%
group = close_group([actions["down"], actions["right"]], orders=(SIDE, SIDE))
assert group.origin is not None
layout = orbit_layout(group.generators, group.orders, group.origin)  # row g: where group element g takes the corner
recovered = (scrambled.double() @ layout.T).reshape(-1, SIDE, SIDE).float()
right = int((layout.argmax(1) == inverse).sum())
show("recovered", [scrambled.reshape(-1, SIDE, SIDE), recovered, digits], ["scrambled", "recovered", "original"])
print(f"the shifts commute up to {group.commutator_error:.1e} and close up to {max(group.closure_errors):.1e}")
print(f"the group moves pixels onto pixels: {group.is_permutation}")
print(f"pixels put in their right place: {right} of {SIDE * SIDE}")

# %% [markdown]
# ![Scrambled digits, recovered digits and the originals](figures/recovered.png)
#
# The middle row was made from the upper one and from what was learned; the permutation was never looked at. Whoever
# knows what a shift does knows where the pixels are.
#
# ## 4. A network that ties its weights with it
#
# `OrbitLinear` is a layer of a perceptron whose rows are the transformed copies `L_g filter` of a few filters, with
# the learned `L_g`:
#
#     y[o, g] = <x, L_g filter[o]>
#
# Its local filters are combinations of a few group elements applied to one pixel, the corner. It gets the scrambled
# vector, and gives one number for each filter and group element; after it, the group elements are a grid, and
# ordinary layers apply.
#
# Four networks, trained on the same few digits:
#
# - an **MLP** on scrambled digits,
# - a **CNN** on scrambled digits, which a CNN is not made for,
# - **ours**: the same CNN, with `OrbitLinear` as its first layer, on scrambled digits,
# - the same CNN on the **original** digits, which it alone may see.


# %%
def later_layers():
    """What follows the first layer of every convolutional network."""
    return nn.Sequential(
        nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(24 * 7 * 7, 10),
    )  # fmt: skip


def mlp():
    """A perceptron with one hidden layer."""
    return nn.Sequential(nn.Linear(SIDE * SIDE, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))


def cnn():
    """Two convolutions and a linear layer; takes vectors, and reads them row by row."""
    first = nn.Conv2d(1, 12, 5, padding=2)
    return nn.Sequential(nn.Unflatten(1, (1, SIDE, SIDE)), first, later_layers())


def ours():
    """The same, but the first layer shares its weights by the learned group, wherever the pixels are."""
    first = OrbitLinear(
        1, 12, group.generators, group.orders, kernel_size=5, seed=group.origin, padding_mode="zeros",
        dtype=torch.float32,
    )  # fmt: skip
    return nn.Sequential(first, later_layers())


def train_and_test(build, see, seed):
    """Train with Adam at a falling rate; the test error in percent, and the network."""
    torch.manual_seed(seed)
    network = build()
    images, labels = see(train.floats()), train.labels
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    batches = [batch for _ in range(EPOCHS) for batch in torch.randperm(len(images)).split(50)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=len(batches))
    for batch in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        guesses = torch.cat([network(part).argmax(1) for part in see(test.floats()).split(500)])
    return 100 * float((guesses != test.labels).float().mean()), network


def in_order(images):
    """Vectors of pixels that were not scrambled."""
    return images.flatten(1)


kinds = {
    "MLP, scrambled": (mlp, scramble), "CNN, scrambled": (cnn, scramble), "ours, scrambled": (ours, scramble),
    "CNN, original": (cnn, in_order),
}  # fmt: skip
errors, networks = {}, {}
for kind, (build, see) in kinds.items():
    runs = [train_and_test(build, see, seed) for seed in range(SEEDS)]
    errors[kind], networks[kind] = [error for error, _ in runs], runs[0][1]
    spread = f"  (seeds: {', '.join(f'{error:.1f}' for error in errors[kind])})" if SEEDS > 1 else ""
    weights = sum(p.numel() for p in networks[kind].parameters())
    print(f"{kind:<16} {weights:>7,} weights   test error {statistics.mean(errors[kind]):4.1f} %{spread}")

with torch.no_grad():
    mine = networks["ours, scrambled"](scramble(test.floats()[:500]))
    theirs = networks["CNN, original"](in_order(test.floats()[:500]))
difference = float((mine - theirs).abs().max())
print(f"the last two networks differ by {difference:.1g} at most, where outputs are up to {mine.abs().max():.0f}")

# %%
figure, frame = plt.subplots(figsize=(8.6, 2.3))
for place, (kind, values) in enumerate(errors.items()):
    color = "#0057b8" if kind.startswith("ours") else "#8a9099"
    frame.barh(place, statistics.mean(values), color=color, height=0.62)
    frame.scatter(values, [place] * len(values), s=14, color=INK, zorder=3)
    frame.text(max(values) + 0.15, place, f"{statistics.mean(values):.1f} %", va="center")
frame.set_yticks(range(len(errors)), list(errors))
frame.set_xlabel(f"error on {NUM_TEST:,} test digits, after {NUM_TRAIN:,} training digits (dots: seeds)")
frame.set_xlim(0, 1.12 * max(map(max, errors.values())))
frame.invert_yaxis()
frame.tick_params(length=0)
frame.spines[["top", "right", "left"]].set_visible(False)
figure.subplots_adjust(left=0.2, right=0.97, top=0.98, bottom=0.24)
save(figure, "errors")

# %% [markdown]
# ![Test errors of the four networks](figures/errors.png)
#
# Ours and the CNN that may see the originals agree up to rounding, and they should: trained from the same seed,
# they are the same function of the same digits. What was a gift is now learned. The permutation costs the CNN its
# advantage, and costs ours nothing.
#
# These are small numbers: few digits, a small network, a few epochs. They say which network knows more, not how far
# either can go.
#
# What does the tied layer look like from inside? Below, two rows of the MLP and six of ours, unscrambled so that we
# can look at them. Ours are one small filter in six places, and nobody wrote that down.

# %%
shared = networks["ours, scrambled"][0].filters().detach()[:, 0]
strongest = int(shared.norm(dim=1).argmax())
elements = [group.element(row, col).float() for row, col in ((5, 5), (5, 12), (5, 19), (14, 5), (14, 12), (14, 19))]
orbit = torch.stack([element @ shared[strongest] for element in elements])
perceptron = networks["MLP, scrambled"][0].weight.detach()[:2]
panels = torch.cat([perceptron, orbit])[:, inverse].reshape(-1, SIDE, SIDE)
figure, axes = plt.subplots(1, len(panels), figsize=(8.6, 1.35))
for index, (frame, panel) in enumerate(zip(axes, panels, strict=True)):
    limit = float(panel.abs().max())
    frame.imshow(panel.numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    frame.set(xticks=[], yticks=[])
    frame.set_title("MLP" if index < 2 else "ours", fontsize=9)
figure.subplots_adjust(left=0.005, right=0.995, top=0.86, bottom=0.01, wspace=0.06)
save(figure, "filters")

# %% [markdown]
# ![Rows of the first layers](figures/filters.png)
#
# ## 5. Other transformations
#
# Nothing above was about shifts. Any transformation of which pairs can be drawn will do, exact or not:
# `learn_action` has some ready, and takes any Python function.

# %%
options = (
    {"transform": "eighth-turn", "data": "cifar10", "color": False},
    {"transform": "scale", "data": "mnist"},
    {"transform": "hue", "data": "cifar10"},
)
figure, axes = plt.subplots(len(options), 9, figsize=(8.6, 2.75))
for line, option in zip(axes, options, strict=True):
    result = learn_action(LearnAction(pairs=2000 if SMALL else 5000, held_out=200, **option))
    image = result.shown[[6 if option["transform"] == "eighth-turn" else 7]]
    for power, frame in enumerate(line):
        picture = result.apply(image, power)[0].movedim(0, -1).clip(0, 1).numpy()
        shades = "gray_r" if option["data"] == "mnist" else "gray"
        frame.imshow(picture, cmap=shades, vmin=0, vmax=1, interpolation="nearest")
        frame.set(xticks=[], yticks=[])
        frame.set_xlabel("" if frame not in axes[-1] else "once" if power == 1 else f"{power} times", fontsize=9)
    line[0].set_ylabel(option["transform"], rotation=0, ha="right", va="center", labelpad=8)
    facts = result.facts
    print(
        f"{facts['transform']:<12} {facts['features']:>5} features, rank {facts['rank']:>4}, relative error on other "
        f"pairs {facts['error']:.1e} (doing nothing: {facts['error_of_doing_nothing']:.2f})"
    )
figure.subplots_adjust(left=0.13, right=0.995, top=0.99, bottom=0.08, wspace=0.07, hspace=0.07)
save(figure, "others")

# %% [markdown]
# ![Learned eighth turns, scaling steps and turns of the hue, applied again and again](figures/others.png)
#
# Each row shows one learned matrix, applied again and again to an image that it was not learned from. A turn of the
# hue is found to rounding. An eighth turn loses the corners of the image and scaling loses its border, and both
# blur: there, no matrix that keeps norms is exact, and the error says by how much. From the command line, with
# pictures of the matrix, its eigenvalues and more:
#
#     python -m studies learn-action --transform eighth-turn --data cifar10
#     python -m studies learn-action --transform shift-x --permute 3 --order 28
#     python -m studies learn-action --transform mymodule:myfunction --data my-pictures
#
# For small filters that turn, which is what most image networks need, the library has this in closed form:
# `UnitaryBasis` and `SpectralBasis`; see [concepts](../concepts.md).
