"""Predictions of a trained network on pictures: classes or masks, averaged over turned copies."""

from orbitconv.prediction.any_task import predict as predict
from orbitconv.prediction.masks import Masks as Masks
from orbitconv.prediction.masks import predict_masks as predict_masks
from orbitconv.prediction.predicting import Predict as Predict
from orbitconv.prediction.predicting import Prediction as Prediction
from orbitconv.prediction.predicting import predict_pictures as predict_pictures
from orbitconv.prediction.reach import Reach as Reach
from orbitconv.prediction.reach import reach_of as reach_of
from orbitconv.prediction.tables import PredictionFiles as PredictionFiles
from orbitconv.prediction.tables import write_csv as write_csv
from orbitconv.prediction.tables import write_json as write_json
