"""Our own engine on a single convolution as a separate network: floats in, quantized; 64-bit scores out."""

from ours import VERSION, load_whole, prepare, warm
from stopwatch import compete

__all__ = []

if __name__ == "__main__":
    compete(prepare, load_whole, VERSION, warm)
