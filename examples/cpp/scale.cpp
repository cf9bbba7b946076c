// scale.cpp: tile.h from C++: the kernel's text is part of the program, and is compiled when it runs.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <tile.h>
#include <vector>

static const char text[] = "kernel scale[T: (f32, f64)](x: T[N], y: T[N], by: f32, B: const = 512) grid(cdiv(N, B)):\n"
                           "    i = program_id(0) * B\n"
                           "    y.store([i], (x.load([i], [B]) * by.to(T)))\n";

struct closer {
    void operator()(tile_device *d) const { tile_device_close(d); }
    void operator()(tile_module *m) const { tile_module_close(m); }
};

template <typename T> static tile_tensor view(std::vector<T> &v)
{
    int64_t n = static_cast<int64_t>(v.size());
    return tile_tensor_of(v.data(), sizeof(T) == 4 ? TILE_F32 : TILE_F64, 1, &n);
}

template <typename T> static int run(tile_kernel *k, size_t n)
{
    std::vector<T> x(n), y(n);
    for (size_t i = 0; i < n; i++)
        x[i] = static_cast<T>(i);
    tile_error err;
    tile_tensor tx = view(x), ty = view(y);
    tile_arg args[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty), tile_arg_float(0.5)};
    if (tile_launch(k, nullptr, nullptr, args, 3, &err) != TILE_OK)
        throw std::runtime_error(err.text);
    int wrong = 0;
    for (size_t i = 0; i < n; i++)
        wrong += y[i] != x[i] / 2;
    return wrong;
}

int main()
{
    tile_error err;
    std::unique_ptr<tile_device, closer> dev(tile_device_open("cpu", &err));
    std::unique_ptr<tile_module, closer> mod(dev ? tile_module_from_string(dev.get(), "scale.tile", text, nullptr, &err)
                                                 : nullptr);
    tile_kernel *k = mod ? tile_kernel_find(mod.get(), "scale", &err) : nullptr;
    if (!k)
        return std::fprintf(stderr, "scale: %s\n", err.text), 1;
    int wrong = run<float>(k, 100003) + run<double>(k, 777);
    std::printf("scale: %d wrong\n", wrong);
    return wrong != 0;
}
