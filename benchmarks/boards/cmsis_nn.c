/* Layers in int8 by CMSIS-NN, on the shapes of an exported network's: prints instructions of the layer and of the pooling
 * behind it, bytes of the kernel's buffer, and its status, 0. Weights are whatever lies in the board's PSRAM. */
#include "arm_nnfunctions.h"

#include "clock.h"

struct layer {
    int32_t dense;
    cmsis_nn_dims in, filter, out, pooled;
    cmsis_nn_tile stride, pad, dilation, pool, pool_stride, pool_pad;
};

#include "layers.h"

static const int8_t *const weights = (const int8_t *)0x21000000;
static int8_t x[LARGEST], y[LARGEST], z[LARGEST], buffer[1 << 17];
static int32_t multipliers[CHANNELS], shifts[CHANNELS], bias[CHANNELS];

int main(void)
{
    cmsis_nn_per_channel_quant_params each = {multipliers, shifts};
    cmsis_nn_dims biases = {1, 1, 1, CHANNELS};
    uint32_t i;
    START_CLOCK();
    for (i = 0; i < CHANNELS; i++)
        multipliers[i] = 1 << 30;
    for (i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct layer *l = &layers[i];
        cmsis_nn_conv_params convolution = {0, 0, l->stride, l->pad, l->dilation, {-128, 127}};
        cmsis_nn_fc_params dense = {0, 0, 0, {-128, 127}};
        cmsis_nn_per_tensor_quant_params all = {1 << 30, -9};
        cmsis_nn_pool_params pooling = {l->pool_stride, l->pool_pad, {-128, 127}};
        cmsis_nn_context context = {buffer, sizeof buffer};
        int32_t size = l->dense ? arm_fully_connected_s8_get_buffer_size(&l->filter)
                                : arm_convolve_wrapper_s8_get_buffer_size(&convolution, &l->in, &l->filter, &l->out);
        int status = size > (int32_t)sizeof buffer;
        uint32_t before = now();
        if (l->dense)
            status |= arm_fully_connected_s8(&context, &dense, &all, &l->in, x, &l->filter, weights, &biases, bias,
                                             &l->out, y);
        else
            status |= arm_convolve_wrapper_s8(&context, &convolution, &each, &l->in, x, &l->filter, weights, &biases,
                                              bias, &l->out, y);
        print(SINCE(before));
        before = now();
        if (l->pool.w)
            status |= arm_max_pool_s8(&context, &pooling, &l->out, y, &(cmsis_nn_dims){1, l->pool.h, l->pool.w, 1},
                                      &l->pooled, z);
        print(SINCE(before));
        print((uint32_t)size);
        print((uint32_t)status);
    }
    return 0;
}
