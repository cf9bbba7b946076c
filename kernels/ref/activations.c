/* activations.c: the functions of activations.tile. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <string.h>

static double relu(double x)
{
    return x > 0 ? x : 0;
}
static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
}
static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}
static double silu(double x)
{
    return x / (1 + exp(-x));
}
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double square(double x)
{
    return x * x;
}
static double relu2(double x)
{
    return relu(x) * relu(x);
}
static double same(double x)
{
    return x;
}

bool ref_activation(const char *name, double x, double *y)
{
    static const struct {
        const char *name;
        double (*f)(double);
    } table[] = {
        {"act_relu", relu},       {"act_gelu", gelu},     {"act_gelu_tanh", gelu_tanh},
        {"act_silu", silu},       {"act_tanh", tanh},     {"act_relu2", relu2},
        {"act_sigmoid", sigmoid}, {"act_square", square}, {"identity", same},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(name, table[i].name)) {
            *y = table[i].f(x);
            return true;
        }
    return false;
}
