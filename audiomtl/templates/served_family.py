"""What `mlflow models serve` runs: a trained model of audiomtl, asked with a waveform or rows of a table.

Request: {"inputs": [0.0, 0.1, ...]}, samples of one mono waveform in [-1, 1] at the model's rate; for a model
that reads further columns {"dataframe_records": [{"path": "a.wav", "words": "...", ...}, ...]}.
Answer: {"predictions": {"seconds": ..., "answers": {...}}}, of rows a list of these: answers by name, as
`audiomtl predict --to jsonl` writes them, but with all classes. What cannot be answered is a BAD_REQUEST that
says why.
"""

from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext


class TrainedModel(PythonModel):
    """The folder that the model's family wrote."""

    def load_context(self, context: PythonModelContext) -> None:
        import audiomtl

        self.model = audiomtl.load(context.artifacts["model"])

    # without a type of `model_input`, from which MLflow would derive a signature
    def predict(self, context, model_input, params: dict[str, Any] | None = None):  # type: ignore[no-untyped-def]
        import numpy as np
        import pandas as pd

        from audiomtl.data.formats import plain
        from audiomtl.errors import UserError

        try:
            if isinstance(model_input, pd.DataFrame):
                return [plain(one) for one in self.model.respond(model_input)]
            waveform = np.asarray(model_input, np.float32).reshape(-1)
            [response] = self.model.respond(waveform, sample_rate=self.model.sample_rate)
        except UserError as error:
            raise MlflowException(str(error), error_code=BAD_REQUEST) from None
        return {name: value for name, value in plain(response).items() if name != "file"}


mlflow.models.set_model(TrainedModel())
