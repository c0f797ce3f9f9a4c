"""A small convolutional classifier, trained here and now, by whose features the quality of pictures is measured.

It takes the place of a network that would have to be downloaded: its features tell apart what the data set's labels do.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from taut.data import Split, as_inputs
from taut.training.seeding import stream, stream_seed

FEATURES = 64
_BATCH = 128
_RATE = 2e-3
_WIDTH = 24


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A trained network, and what is known of it."""

    body: nn.Module
    """Pictures to features: everything but the last layer."""
    head: nn.Linear
    """Features to logits."""
    accuracy: float
    """Share of held-out pictures, or of their turned copies, that it names correctly."""
    description: str
    """One sentence for reports."""

    @torch.no_grad()
    def features(self, images: Float[Tensor, "n c h w"], *, batch_size: int = 500) -> Float32[Tensor, "n features"]:
        """Activations of the layer before the last, on the CPU."""
        device = self.head.weight.device
        return torch.cat([self.body(part.to(device)).cpu() for part in images.split(batch_size)])


def train_classifier(
    train: Split,
    held_out: Split,
    *,
    classes: int,
    seed: int = 0,
    steps: int = 450,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Classifier:
    """A classifier of pictures after `steps` steps of 128; on a CPU the same seed and data give the same network.

    Where there is one class, the label of a picture is how far it was turned: by 0, 90, 180 or 270 degrees, and by 0 or
    180 where it is not square (Gidaris, Singh and Komodakis, 2018).

    Args:
        train: What it learns from.
        held_out: What its accuracy is measured on.
        classes: Number of labels.
        seed: Of its weights and of the order of pictures; torch's global generators are not used.
        steps: Half a minute on one core for 28 x 28 pictures.
        device: Where it is trained, and stays; the CPU when None.
        progress: Called after each step with the number of steps done, and of all.

    Raises:
        ValueError: Inputs that are no pictures, fewer than one step.

    Example:
        >>> images = torch.rand(40, 1, 8, 8)
        >>> half = Split(inputs=images, labels=torch.arange(40) % 2)
        >>> train_classifier(half, half, classes=2, steps=1).features(images).shape
        torch.Size([40, 64])
    """
    shape = train.stored.shape[1:]
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ValueError(f"a classifier of pictures needs the shape (channels, height, width), got {tuple(shape)}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    turns = _turns(shape[1:]) if classes < 2 else ()
    device = torch.device("cpu") if device is None else device
    body, head = _network(shape, len(turns) or classes, stream_seed(seed, "classifier"))
    body, head = body.to(device), head.to(device)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order, angles = _order(len(train), steps, seed), stream(seed, "classifier", "turns")
    for step, index in enumerate(order.split(_BATCH)):
        images, labels = as_inputs(train.stored[index]), train.labels[index]
        if turns:
            labels = torch.randint(len(turns), (len(index),), generator=angles)
            images = _turned(images, labels, turns)
        loss = F.cross_entropy(head(body(images.to(device))), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, steps)
    accuracy = _accuracy(body, head, held_out, turns, device)
    told = f"by how many quarter turns {turns} a picture was turned" if turns else f"{classes} classes apart"
    description = (
        f"{FEATURES} features of the layer before the last of a small convolutional network, trained for {steps} steps "
        f"on {len(train)} training pictures to tell {told}"
    )
    return Classifier(body=body.eval(), head=head, accuracy=accuracy, description=description)


def _network(shape: torch.Size, outputs: int, seed: int) -> tuple[nn.Sequential, nn.Linear]:
    channels, height, width = shape
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        stride = math.ceil(max(height, width) / 32)  # larger pictures at the cost of those of 32 x 32
        convolutions = nn.Sequential(
            nn.Conv2d(channels, _WIDTH, 3, stride=stride, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        size = convolutions(torch.zeros(1, *shape)).shape[1]
        return nn.Sequential(*convolutions, nn.Linear(size, FEATURES), nn.ReLU()), nn.Linear(FEATURES, outputs)


def _order(count: int, steps: int, seed: int) -> Int64[Tensor, " seen"]:
    """Pictures in the order in which they are seen: one random order of all of them after the other."""
    generator, seen = stream(seed, "classifier", "order"), steps * _BATCH
    orders = [torch.randperm(count, generator=generator) for _ in range(math.ceil(seen / count))]
    return torch.cat(orders)[:seen]


def _turns(sides: torch.Size) -> tuple[int, ...]:
    """Quarter turns that keep the shape of a picture."""
    return (0, 1, 2, 3) if sides[0] == sides[1] else (0, 2)


def _turned(images: Tensor, labels: Tensor, turns: tuple[int, ...]) -> Tensor:
    result = images.clone()
    for label, turn in enumerate(turns):
        result[labels == label] = torch.rot90(images[labels == label], turn, (2, 3))
    return result


@torch.no_grad()
def _accuracy(body: nn.Module, head: nn.Module, split: Split, turns: tuple[int, ...], device: torch.device) -> float:
    right = 0
    for stored, labels in zip(split.stored.split(500), split.labels.split(500), strict=True):
        images = as_inputs(stored)
        for label, turn in enumerate(turns or (0,)):
            wanted = torch.full_like(labels, label) if turns else labels
            guess = head(body(torch.rot90(images, turn, (2, 3)).to(device))).argmax(1).cpu()
            right += int((guess == wanted).sum())
    return right / (len(split) * max(1, len(turns)))
