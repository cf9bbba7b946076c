// scale.cpp: tile.h from C++: the kernel's text is part of the program, and is compiled when it runs.
#include <cstdio>
#include <memory>
#include <tile.h>
#include <vector>
static const char text[] = R"(
kernel scale(x: f32[N], y: f32[N], by: f32, B: const = 512) grid(cdiv(N, B)):
    i = program_id(0) * B
    y.store([i], x.load([i], [B]) * by)
)";

struct closer {
    void operator()(tile_device *d) const { tile_device_close(d); }
    void operator()(tile_module *m) const { tile_module_close(m); }
};

static tile_tensor view(std::vector<float> &v)
{
    int64_t n = static_cast<int64_t>(v.size());
    return tile_tensor_of(v.data(), TILE_F32, 1, &n);
}

int main()
{
    tile_error err;
    std::vector<float> x(100003), y(x.size());
    for (size_t i = 0; i < x.size(); i++)
        x[i] = static_cast<float>(i);
    tile_tensor tx = view(x), ty = view(y);
    const tile_arg args[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty), tile_arg_float(0.5)};
    std::unique_ptr<tile_device, closer> dev(tile_device_open("cpu", &err));
    std::unique_ptr<tile_module, closer> mod(dev ? tile_module_from_string(dev.get(), "scale.tile", text, nullptr, &err) : nullptr);
    tile_kernel *k = mod ? tile_kernel_find(mod.get(), "scale", &err) : nullptr;
    if (!k || tile_launch(k, nullptr, nullptr, args, 3, &err) != TILE_OK)
        return std::fprintf(stderr, "scale: %s\n", err.text), 1;
    int wrong = 0;
    for (size_t i = 0; i < x.size(); i++)
        wrong += y[i] != x[i] / 2;
    return std::printf("scale: %d wrong\n", wrong), wrong != 0;
}
