"""What `mlflow models serve` runs: the exported SavedModel, asked with one waveform. It needs tensorflow and
numpy, not audiomtl.

Request: {"inputs": [0.0, 0.1, ...]}, samples of one mono waveform at 16 kHz in [-1, 1], 0.1 to 60 s.
Answer: {"predictions": {"classifier": [probabilities], "class_names": [names], "predicted": name}};
of tags, which do not exclude each other, "predicted" is the list of those with a probability of 0.5 or more.
Of a waveform whose samples are all equal, "remarks" says so. A waveform that is not as above is a BAD_REQUEST
that says why.
"""

import re
from typing import Any

import mlflow
import numpy as np
import tensorflow as tf
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext

REASON = re.compile(r"waveform: .+?(?=\] \[|\]?$)", re.MULTILINE)  # in what the SavedModel's checks say


class WaveformClassifier(PythonModel):
    """The SavedModel's ``serving_default`` with the names of its classes."""

    def load_context(self, context: PythonModelContext) -> None:
        self.model = tf.saved_model.load(context.artifacts["saved_model"])
        about = self.model.signatures["describe"]()
        self.names = [name.decode() for name in about["class_names"].numpy()]
        self.exclusive = bool(about["exclusive"]) if "exclusive" in about else True

    # MLflow reads these: from an np.ndarray it derives no signature that would replace the logged one
    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        waveform = tf.constant(np.asarray(model_input, np.float32).reshape(-1))
        try:
            probabilities = self.model.signatures["serving_default"](waveform=waveform)["classifier"].numpy()
        except tf.errors.InvalidArgumentError as error:
            reason = REASON.search(str(error))
            if not reason:
                raise
            raise MlflowException(reason[0].strip(), error_code=BAD_REQUEST) from None
        held = [name for name, value in zip(self.names, probabilities, strict=True) if value >= 0.5]
        answer: dict[str, Any] = {
            "classifier": probabilities.tolist(),
            "class_names": self.names,
            "predicted": self.names[int(probabilities.argmax())] if self.exclusive else held,
        }
        if np.ptp(waveform.numpy()) == 0:
            answer["remarks"] = [f"every sample is {waveform[0].numpy():.4g}; the answer means nothing"]
        return answer


mlflow.models.set_model(WaveformClassifier())
