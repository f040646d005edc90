"""Writing a graph down: tensors that know arithmetic, and the context that holds them until the graph is freed."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np

from desktop_app.engine.graph.library import InitParams, ggml
from models.gguf_constants import GGMLQuantizationType as Type

_NEIGHBOURS, _NEOX = 0, 2
"""GGML_ROPE_TYPE_NORMAL and _NEOX: pairs are neighbours, or the first and second half of the rotated dimensions."""
_FULL_PRECISION = 10
"""GGML_PREC_F32"""
_NOTHING = 0
"""A null pointer where an operation may take a tensor."""


class Tensor:
    """A tensor in ggml; its shapes are written as ggml does, fastest axis first."""

    __slots__ = ("builder", "pointer")

    def __init__(self, builder: Context, pointer: int) -> None:
        """Wrap a pointer that `builder` made."""
        self.builder = builder
        self.pointer = pointer

    def __add__(self, other: Tensor) -> Tensor:
        return self.builder.call("ggml_add", self, other)

    def __sub__(self, other: Tensor) -> Tensor:
        return self.builder.call("ggml_sub", self, other)

    def __mul__(self, other: Tensor) -> Tensor:
        return self.builder.call("ggml_mul", self, other)

    def __truediv__(self, other: Tensor) -> Tensor:
        return self.builder.call("ggml_div", self, other)

    def write(self, values: np.ndarray) -> None:
        """Fill it, from its beginning on, with values of its type."""
        values = np.ascontiguousarray(values)
        ggml().ggml_backend_tensor_set(self.pointer, values.ctypes.data, 0, values.nbytes)

    def read(self, values: np.ndarray) -> None:
        """Fill a contiguous array from its beginning."""
        ggml().ggml_backend_tensor_get(self.pointer, values.ctypes.data, 0, values.nbytes)


class Context:
    """Holds the descriptions of tensors, not their data."""

    def __init__(self, tensors: int, graph: int = 0) -> None:
        """Make room for a number of tensors and for a graph with so many nodes (0: none).

        Raises:
            MemoryError: there is no room.
        """
        size = (tensors + 1) * ggml().ggml_tensor_overhead()
        if graph:
            size += ggml().ggml_graph_overhead_custom(graph, False)
        self.pointer = ggml().ggml_init(InitParams(size, None, True))
        if not self.pointer:
            raise MemoryError

    def close(self) -> None:
        """Forget the tensors."""
        ggml().ggml_free(self.pointer)
        self.pointer = None

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def new(self, type_: Type, *shape: int) -> Tensor:
        """Describe a tensor of 1 to 4 axes, the fastest first."""
        pointer = getattr(ggml(), f"ggml_new_tensor_{len(shape)}d")(self.pointer, int(type_), *shape)
        return Tensor(self, pointer)

    def call(self, name: str, *arguments: Tensor | float) -> Tensor:
        """Add one operation by its C name."""
        plain = [argument.pointer if isinstance(argument, Tensor) else argument for argument in arguments]
        return Tensor(self, getattr(ggml(), name)(self.pointer, *plain))


class Builder(Context):
    """A graph in the making."""

    def __init__(self, nodes: int) -> None:
        """Make room for `nodes` operations, views and inputs together."""
        super().__init__(nodes, nodes)
        self.nodes = nodes
        self.graph = ggml().ggml_new_graph_custom(self.pointer, nodes, False)
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}

    def input(self, name: str, type_: Type, *shape: int) -> Tensor:
        """Add a tensor that is filled before each computation."""
        tensor = self.new(type_, *shape)
        ggml().ggml_set_input(tensor.pointer)
        self.inputs[name] = tensor
        return tensor

    def output(self, name: str, tensor: Tensor) -> None:
        """Name a result that is read after each computation."""
        ggml().ggml_set_output(tensor.pointer)
        self.outputs[name] = tensor
        self.expand(tensor)

    def expand(self, tensor: Tensor) -> None:
        """Compute a tensor, and everything it is made of, at this place of the order."""
        ggml().ggml_build_forward_expand(self.graph, tensor.pointer)

    # Shapes -----------------------------------------------------------------------------------------------------------

    def reshape(self, x: Tensor, *shape: int) -> Tensor:
        """See contiguous data as another shape of 1 to 3 axes."""
        return self.call(f"ggml_reshape_{len(shape)}d", x, *shape)

    def view(self, x: Tensor, shape: Sequence[int], strides: Sequence[int] = (), offset: int = 0) -> Tensor:
        """See a part of a tensor; strides, of the second axis on, and the offset are in bytes."""
        return self.call(f"ggml_view_{len(shape)}d", x, *shape, *strides, offset)

    def columns(self, x: Tensor, width: int, start: int, count: int) -> Tensor:
        """Return `count` of the columns of float32 [width, n]."""
        return self.view(x, (width, count), (4 * width,), 4 * width * start)

    def permute(self, x: Tensor, *axes: int) -> Tensor:
        """Let axis i become axis `axes[i]`."""
        return self.call("ggml_permute", x, *axes)

    def concat(self, first: Tensor, second: Tensor, axis: int) -> Tensor:
        """Join two tensors along an axis."""
        return self.call("ggml_concat", first, second, axis)

    def repeat(self, x: Tensor, *shape: int) -> Tensor:
        """Repeat a tensor until it fills a shape."""
        return self.call("ggml_repeat_4d", x, *shape, *(1,) * (4 - len(shape)))

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Write a tensor's values into another at this place of the order."""
        self.expand(self.call("ggml_cpy", source, target))

    def rows(self, x: Tensor, indices: Tensor) -> Tensor:
        """Look up columns of [width, n], quantized or not, as float32 [width, len(indices)]."""
        return self.call("ggml_get_rows", x, indices)

    def set_rows(self, target: Tensor, values: Tensor, indices: Tensor) -> None:
        """Write float32 [width, m] into the columns `indices` (I64) of a tensor of any type."""
        self.expand(self.call("ggml_set_rows", target, values, indices))

    # Layers -----------------------------------------------------------------------------------------------------------

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return W x + b: [in, n] -> [out, n]; the weight is [in, out] of any type."""
        y = self.call("ggml_mul_mat", weight, x)
        return y if bias is None else y + bias

    def norm(self, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """Return the layer norm of each column."""
        return self.call("ggml_norm", x, epsilon) * weight + bias

    def rms_norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """Return each column divided by its root mean square."""
        return self.call("ggml_rms_norm", x, epsilon) * weight

    def scale(self, x: Tensor, factor: float) -> Tensor:
        """Multiply by a number; by 1, nothing is done."""
        return x if factor == 1 else self.call("ggml_scale", x, factor)

    def apply(self, function: str, x: Tensor) -> Tensor:
        """Apply an element-wise function by its name: exp, neg, relu, sigmoid, silu, sqr."""
        return self.call(f"ggml_{function}", x)

    def maximum(self, x: Tensor, y: Tensor) -> Tensor:
        """Return max(x, y) of each element, exactly y where x is far below it: ggml has no such operation."""
        return y + self.apply("relu", x - y)

    def gelu(self, x: Tensor) -> Tensor:
        """Return the tanh form of GELU, x s(y) with y = x z, z = sqrt(8 / pi) (1 + 0.044715 x^2) and s the logistic function.

        ggml's own looks values up in a table of 16-bit floats; silu(y) / z is the same function in full precision.
        """
        slope = 1.5957691216057308
        z = self.call("ggml_scale_bias", self.apply("sqr", x), 0.044715 * slope, slope)
        return self.apply("silu", x * z) / z

    def rotate(self, x: Tensor, positions: Tensor, dimensions: int, base: float) -> Tensor:
        """Return [size, heads, n] with the rotary embedding of I32 `positions` [n]."""
        return self._rope(x, positions, _NOTHING, dimensions, _NEOX, base)

    def rotate_by(self, x: Tensor, positions: Tensor, dimensions: int, divisors: Tensor, *, halves: bool) -> Tensor:
        """Return [size, heads, n] rotated by positions / divisors: I32 [n], float32 [dimensions / 2].

        `halves`: pairs are the first and second half of the dimensions, not neighbours.
        """
        return self._rope(x, positions, divisors, dimensions, _NEOX if halves else _NEIGHBOURS, 1.0)

    def _rope(
        self, x: Tensor, positions: Tensor, divisors: Tensor | int, dimensions: int, kind: int, base: float
    ) -> Tensor:
        return self.call("ggml_rope_ext", x, positions, divisors, dimensions, kind, 0, base, 1.0, 0.0, 1.0, 32.0, 1.0)

    def attention(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Return [size, heads, n] of q [size, n, heads], k and v [size, m, heads] and a float16 mask [m, n] that is added."""
        attended = self.call("ggml_flash_attn_ext", q, k, v, _NOTHING if mask is None else mask, scale, 0.0, 0.0)
        ggml().ggml_flash_attn_ext_set_prec(attended.pointer, _FULL_PRECISION)
        return attended
