from audiomtl.harness.notebook import clips as clips
from audiomtl.harness.notebook import predictions as predictions
from audiomtl.harness.notebook import runs as runs
from audiomtl.harness.notebook import train as train
from audiomtl.harness.notebook import trials as trials
from audiomtl.harness.use.trained import Model as Model
from audiomtl.harness.use.trained import load as load
from audiomtl.nn.doctor import doctor as doctor

__version__: str
