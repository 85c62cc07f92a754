"""The gradient as a model of MLServer."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.rivals.maths import loss_and_gradient


class Gradient(MLModel):
    """A model without weights."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer."""
        arrays = {each.name: NumpyCodec.decode_input(each) for each in payload.inputs}
        loss, gradient = loss_and_gradient(arrays["logits"], arrays["labels"].ravel())
        outputs = [NumpyCodec.encode_output(name="gradient", payload=gradient)]
        outputs.append(NumpyCodec.encode_output(name="loss", payload=np.array([loss], gradient.dtype)))
        return InferenceResponse(model_name=self.name, outputs=outputs)
