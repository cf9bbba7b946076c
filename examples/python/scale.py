"""scale.py: tile.h from Python by ctypes, nothing to install: python3 scale.py [libtile.so]"""
import ctypes as C
import sys

F32 = 12

class Error(C.Structure):
    _fields_ = [("code", C.c_int32), ("text", C.c_char * 4092)]

class Tensor(C.Structure):
    _fields_ = [("data", C.c_void_p), ("dtype", C.c_int32), ("rank", C.c_int32), ("sizes", C.c_int64 * 5), ("strides", C.c_int64 * 5)]

class Value(C.Union):
    _fields_ = [("i", C.c_int64), ("f", C.c_double), ("p", C.c_void_p), ("t", C.POINTER(Tensor))]

class Arg(C.Structure):
    _fields_ = [("kind", C.c_int32), ("dtype", C.c_int32), ("bytes", C.c_int64), ("u", Value)]

TEXT = b"""kernel scale(x: f32[N], y: f32[N], by: f32, B: const = 512) grid(cdiv(N, B)):
    i = program_id(0) * B
    y.store([i], x.load([i], [B]) * by)
"""

lib = C.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libtile.so")
for name in ("tile_device_open", "tile_module_from_string", "tile_kernel_find"):
    getattr(lib, name).restype = C.c_void_p
err, n = Error(), 1003
dev = lib.tile_device_open(b"cpu", C.byref(err)) or sys.exit(err.text.decode())
mod = lib.tile_module_from_string(C.c_void_p(dev), b"scale.tile", TEXT, None, C.byref(err)) or sys.exit(err.text.decode())
scale = lib.tile_kernel_find(C.c_void_p(mod), b"scale", C.byref(err)) or sys.exit(err.text.decode())
x, y = (C.c_float * n)(*range(n)), (C.c_float * n)()
tensors = [Tensor(C.addressof(v), F32, 1, (n,), (1,)) for v in (x, y)]
args = (Arg * 3)(*[Arg(4, 0, 0, Value(t=C.pointer(t))) for t in tensors], Arg(2, 0, 0, Value(f=0.5)))
if lib.tile_launch(C.c_void_p(scale), None, None, args, 3, C.byref(err)):
    sys.exit(err.text.decode())
print("scale:", sum(y[i] != x[i] / 2 for i in range(n)), "wrong")
lib.tile_module_close(C.c_void_p(mod)), lib.tile_device_close(C.c_void_p(dev))
