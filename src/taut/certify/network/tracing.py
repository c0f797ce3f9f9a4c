"""The torch.fx graph of a model, down to modules that are understood as a whole."""

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy

from taut.certify.breakdown import Norm
from taut.certify.rules.module_rules import has_hooks, has_rule, is_plain_linear, is_scaled_sequential, kind_of

_PREFIX = "model"


class _Root(nn.Module):
    """Holds the model, so that a model that is itself a leaf is traced like any other."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:  # a tensor, or a proxy while tracing
        return self.model(x)


class _Proxy(fx.Proxy):
    """Records `x += y` as what it is; torch's own proxy would record x + y, which leaves x as it was."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __isub__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.isub, (self, other), {})

    def __imul__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __itruediv__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.itruediv, (self, other), {})


class _Tracer(fx.Tracer):
    """Whatever does not depend on the input is computed while tracing, so that the graph holds it as a constant."""

    def __init__(self, is_leaf: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self.is_leaf = is_leaf

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        del attr, parameter_proxy_cache  # torch's own tracer makes proxies of parameters
        return attr_val

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if is_scaled_sequential(m):
            return False
        return self.is_leaf(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if not any(isinstance(value, fx.Proxy) for value in (*args, *kwargs.values())):
            return forward(*args, **kwargs)
        if is_scaled_sequential(m) and not has_hooks(m):
            return super().call_module(m, lambda x: _scaled_chain(m, x), args, kwargs)
        return super().call_module(m, forward, args, kwargs)


def _scaled_chain(module: Any, x: Any) -> Any:
    """What taut.nn.Sequential computes, with its factor as one multiplication in the graph."""
    for layer in module:  # not children(), which leaves out the second use of a layer
        x = layer(x)
    return x * float(module.lipschitz)


def trace(model: nn.Module, norm: Norm) -> fx.GraphModule:
    """Graph of the model, whose leaves are the modules that have a Lipschitz rule; see `trace_to`."""
    return trace_to(model, lambda module: has_rule(module, norm))


def trace_to(model: nn.Module, is_leaf: Callable[[nn.Module], bool]) -> fx.GraphModule:
    """Graph of the model down to leaves. TypeError where its forward cannot be traced (control flow on data, several
    inputs)."""
    refuse_meta(model)
    root = _Root(model)
    held = [(name, value, _state(value)) for name, value in (*model.named_parameters(), *model.named_buffers())]
    try:
        with torch.no_grad(), nothing_random():
            graph = _Tracer(is_leaf).trace(root)
    except Exception as error:  # tracing runs the model's own code, which can raise anything
        message = f"cannot trace the forward of {kind_of(model)}, so it has no Lipschitz rule: {error}"
        raise TypeError(message) from error
    for name, value, before in held:
        if _state(value) != before:
            raise TypeError(f"the forward of {kind_of(model)} changes {name!r}, so that it is another one at each call")
    return fx.GraphModule(root, graph)


def _state(value: Tensor) -> Any:
    """What changes with the values: torch counts changes, but not of tensors made in inference mode."""
    if is_lazy(value) or not value.is_inference():  # lazy ones are refused as such
        return None if is_lazy(value) else value._version
    return value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def refuse_meta(model: nn.Module) -> None:
    """ValueError that names a weight without values, on torch's device "meta"."""
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if value.is_meta and not is_lazy(value):  # lazy modules are refused as such
            raise ValueError(f"{name!r} is on the device 'meta' and has no values: load or initialise the weights")


@contextmanager
def nothing_random() -> Iterator[None]:
    """A constant or a weight that is drawn at random would be another one at the next call."""

    def states() -> list[torch.Tensor]:
        cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if cuda else ())]

    before = states()
    yield
    if any(not torch.equal(one, other) for one, other in zip(before, states(), strict=False)):
        raise ValueError("it draws random numbers, so that it is another function at each call")


def display_name(target: str) -> str:
    """A module's path inside the user's model."""
    return target.removeprefix(_PREFIX).removeprefix(".") or "(model)"


def operand_shapes(traced: fx.GraphModule, input_shape: tuple[int, ...] | None) -> dict[fx.Node, tuple[int, ...]]:
    """Shape at each node for one sample (a batch of one). ValueError, saying what to give, where it cannot be found."""
    shape = input_shape if input_shape is not None else _guessed_shape(traced)
    if shape is None:
        raise ValueError("give input_shape=(...), the shape of one sample, so that broadcasting can be ruled out")
    first = next((t for t in (*traced.parameters(), *traced.buffers()) if t.is_floating_point()), None)
    x = torch.zeros(1, *shape) if first is None else torch.zeros(1, *shape, dtype=first.dtype, device=first.device)
    run = _Shapes(traced)
    with torch.no_grad():
        try:
            run.run(x)
        except Exception as error:  # the model's own code again
            why = "give input_shape=(...)"
            if input_shape is not None:
                why = f"it is the input_shape that was given ({(str(error).splitlines() or [''])[0]})"
            raise ValueError(f"the model does not take a sample of shape {shape}: {why}") from error
    return run.shapes


class _Shapes(fx.Interpreter):
    """Keeps the shape at each node; torch's own ShapeProp prints the traceback of an error that is handled here."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n] = tuple(result.shape)
        return result


def _guessed_shape(traced: fx.GraphModule) -> tuple[int, ...] | None:
    """A vector of the first linear layer's width."""
    for node in traced.graph.nodes:
        if node.op == "call_module":
            module = traced.get_submodule(str(node.target))
            if is_plain_linear(module):
                return (int(module.in_features),)  # type: ignore[arg-type]
    return None
