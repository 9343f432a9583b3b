"""What a trained network sees in pictures, and whether it sees the same when they are turned."""

from orbitconv.experiments.prediction.predicting import Predict as Predict
from orbitconv.experiments.prediction.predicting import Prediction as Prediction
from orbitconv.experiments.prediction.predicting import predict_pictures as predict_pictures
from orbitconv.experiments.prediction.tables import write_csv as write_csv
from orbitconv.experiments.prediction.tables import write_json as write_json
