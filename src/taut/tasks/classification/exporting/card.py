"""README.md of an exported network: what it is, what it reaches, what is proven of it and what is not, in Markdown."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from taut.certify import Certificate
from taut.data import Problem
from taut.models import ClassifierOptions
from taut.reports.page.numbers import levels
from taut.tasks.classification.config import Config, ModelConfig
from taut.tasks.classification.exporting.card_data import data_section, training_section
from taut.tasks.classification.exporting.card_limits import guaranteed_section, limits_section
from taut.tasks.classification.exporting.card_text import listed, percent, plain, shape_of, standard_error, table, upper
from taut.tasks.classification.exporting.data_facts import DataFacts


@dataclass(frozen=True, kw_only=True)
class Card:
    """All that a card tells."""

    config: Config
    problem: Problem
    figures: Mapping[str, Any]
    """result.json of the folder."""
    data: DataFacts
    certificate: Certificate | None
    files: Sequence[str]
    """Of the folder."""


def card(content: Card) -> str:
    """The text for a reader who knows nothing of the run."""
    certificate, figures = content.certificate, content.figures
    sections = [
        _opening(content),
        _loading(content),
        _reached(content),
        guaranteed_section(certificate, files=content.files),
        limits_section(certificate, name=content.data.name),
        data_section(content.data, content.config, content.problem, figures),
        training_section(content.config, figures),
        _files(content),
    ]
    return "\n\n".join(sections) + "\n"


def _opening(content: Card) -> str:
    model, problem, certificate = content.config.model, content.problem, content.certificate
    proven = "not certified" if certificate is None else "certified"
    facts = {
        "input": f"{shape_of(problem.shape)}, entries in [0, 1]",
        "output": f"one logit for each of {len(problem.classes)} classes: {listed(problem.classes)}",
        "architecture": _architecture(model),
        "size": f"{content.figures['parameters']:,} parameters, folded to plain torch modules",
    }
    if certificate is None:
        facts["proven Lipschitz constant"] = "none: **this network is not certified**"
    else:
        facts["proven Lipschitz constant"] = f"{upper(certificate.lipschitz_bound)} in the {certificate.norm} norm"
    rows = [[name, plain(value) if name == "output" else value] for name, value in facts.items()]
    return f"""# A classifier of {plain(content.data.name)}, {proven}

A neural network that tells inputs of {len(problem.classes)} classes apart, trained with taut \
{content.figures["versions"]["taut"]}. {_what(certificate)}

{table(["", ""], rows)}"""


def _architecture(model: ModelConfig) -> str:
    """Its name, and what was chosen otherwise than it is by itself."""
    known = ClassifierOptions()
    chosen = {field.name: getattr(model, field.name) for field in fields(known)}
    words = [f"{name.replace('_', ' ')} {value}" for name, value in chosen.items() if value != getattr(known, name)]
    words += ["a tanh behind the logits"] if model.tanh else []
    return model.architecture + (f" ({', '.join(words)})" if words else "")


def _what(certificate: Certificate | None) -> str:
    if certificate is None:
        return (
            "**Nothing is proven of it.** It was trained with `--no-certify`: what is said below of its robustness is "
            "what attacks did not find, which is no guarantee."
        )
    return (
        "How far its output can move when its input moves is bounded by a proven constant, so that for every single "
        "input a radius can be computed within which no change of that input alters the class."
    )


def _loading(content: Card) -> str:
    shape = ", ".join(["4", *map(str, content.problem.shape)])
    certify = ""
    if content.certificate is not None:
        norm = content.certificate.norm
        certify = f"\nprint(net.certify(inputs).radius)  # {norm} radius around each input within which its class stays"
    return f"""## How to load it

It needs Python with torch and taut (`pip install taut`), and this folder; neither the data nor the code that trained
it.

```python
import torch
import taut

net = taut.load(".")  # this folder, wherever it lies
inputs = torch.rand({shape})  # four inputs; here random numbers in [0, 1]
print(net(inputs))  # logits: a row for each input, a column for each class
print(net.predict(inputs))  # names of the classes{certify}
```

`net.model` is the network itself, a `torch.nn.Module`. `taut.load` compares the files that it reads with their SHA-256,
unpickles nothing, and runs no code of this folder."""


def _reached(content: Card) -> str:
    figures = content.figures
    attack, certified = figures.get("attack") or {}, figures["certified"]
    count = figures["samples"]
    some = attack.get("samples", 0)
    which = f"first {some:,}" if some < count else f"{some:,}"
    # heading, accuracy without any change, share by radius
    columns: list[tuple[str, float, Mapping[str, float]]] = []
    if certified:
        columns.append((f"certified ({count:,} samples)", figures["accuracy"], certified))
    if attack and certified and some < count:
        columns.append((f"certified (first {some:,} samples)", attack["accuracy"], attack["certified"]))
    if attack:
        columns.append((f"under attack ({which} samples)", attack["accuracy"], figures["attacked"]))
    if figures.get("fgsm"):
        columns.append((f"after one gradient step ({which} samples)", attack["accuracy"], figures["fgsm"]))
    radii = list(certified or figures["attacked"])
    rows = [["0 (accuracy)", *(percent(clean) for _, clean, _ in columns)]]
    rows += [[levels(eps), *(percent(shares[eps]) for _, _, shares in columns)] for eps in radii]
    parts = [
        "## What it reaches",
        f"Accuracy on {count:,} held-out samples, on which it was not trained: **{percent(figures['accuracy'])}**, "
        f"with a standard error of {percent(standard_error(figures['accuracy'], count))} from the number of samples.",
    ]
    if columns:
        parts.append(table([f"{figures['norm']} radius", *(heading for heading, _, _ in columns)], rows))
    parts += [text for text in (_certified_words(figures), _attacked_words(figures), _whole_words(figures)) if text]
    return "\n\n".join(parts)


def _certified_words(figures: Mapping[str, Any]) -> str:
    if not figures["certified"]:
        return "Nothing is certified."
    return (
        f"*Certified* is the share of samples whose class is right, and proven to stay right under every change of the "
        f"input that is no larger than the radius in the {figures['norm']} norm, in the units of the inputs, whose "
        "entries span [0, 1]."
    )


def _attacked_words(figures: Mapping[str, Any]) -> str:
    attack = figures.get("attack") or {}
    if not attack:
        return "It was not attacked."
    truth = (
        "On the same samples the true share lies between the two."
        if figures["certified"]
        else "The true share may be lower."
    )
    return (
        f"*Under attack* is the share that is still right after a search for such a change ({attack['method']}, "
        f"{attack['steps']} steps, {attack['restarts']} restarts). {truth}"
    )


def _whole_words(figures: Mapping[str, Any]) -> str:
    whole = figures.get("held_out")
    if not whole:
        return ""
    return (
        f"Of all {whole['samples']:,} held-out pictures, computed in float32 and without any proof, "
        f"{percent(whole['accuracy'])} are right and {percent(whole['top5'])} have their class among the first five; "
        f"the {figures['samples']:,} above are spread evenly over them."
    )


def _files(content: Card) -> str:
    known = {
        "README.md": "this card; the only file that may be edited",
        "certificate.json": "constant of each layer, and radius of each held-out sample",
        "model.json": "what `taut.load` builds the network from, and the SHA-256 of the other files",
        "model.safetensors": "weights of the folded network",
        "network.safetensors": "the network as a list of plain operations with its weights, for `taut verify`",
        "result.json": "the figures of this card, with all digits",
        "samples.npz": f"the held-out samples of {plain(content.data.name)} that the certificate is about",
        "training.json": "the configuration of the training run: `taut train training.json` does it again",
    }
    rows = [[f"`{name}`", known[name]] for name in content.files]
    command = shlex.join(map(str, content.figures["command"]))
    return f"""## Files

{table(["file", "what it holds"], rows)}

Made from the run `{command}` by `taut export`. Places of files in that command are cut to their last part. Under which
licence weights and samples may be passed on follows from the data and is not said here."""
