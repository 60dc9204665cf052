"""Running models in ONNX Runtime, on one thread."""

import pytest


@pytest.fixture(scope="session")
def run_onnx():
    """Scores of images, or of pixels."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'xnornet[onnx]'")
    onnxruntime.set_default_logger_severity(3)

    def run(model, images):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        (taken,) = session.get_inputs()
        return session.run(["scores"], {taken.name: images})[0]

    return run
