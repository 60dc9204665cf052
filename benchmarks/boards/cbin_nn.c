/* Binary layers by CBin-NN, on the shapes of an exported network's: prints instructions of the layer and of the pooling
 * behind it. Its optimized convolution writes behind its output, so that the plain one is taken. */
#include "CBin-NN.h"

#include "clock.h"

struct layer {
    int dense, inputs, length, outputs, out_length, window, stride, pad, pool, pool_stride, pool_pad, pooled;
};

#include "layers.h"

static int *const weights = (int *)0x21000000;
static int x[LARGEST / 32], y[LARGEST / 32], z[LARGEST / 32], bias[CHANNELS];
static float thresholds[CHANNELS];

/* Of positive numbers; it saves a library. */
double ceil(double x)
{
    int n = (int)x;
    return n + (n < x);
}

int main(void)
{
    uint32_t i;
    START_CLOCK();
    for (i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct layer *l = &layers[i];
        uint32_t before = now();
        if (l->dense)
            BBFC_Optimized(y, l->outputs, l->inputs, bias, weights, thresholds, x);
        else
            BBConv2D(y, l->outputs, l->out_length, l->inputs, l->length, l->window, l->stride, l->pad, bias, weights,
                     thresholds, x);
        print(SINCE(before));
        before = now();
        if (l->pool)
            BMaxPool2D(z, l->outputs, l->out_length, l->pooled, l->pool, l->pool_stride, l->pool_pad, y);
        print(SINCE(before));
    }
    return 0;
}
