"""Training of classifiers: settings, loop, checkpoints; nothing heavy is imported before a training begins."""

from orbitconv.experiments.training.config import Network as Network
from orbitconv.experiments.training.config import TrainConfig as TrainConfig
from orbitconv.experiments.training.config import read_config as read_config
from orbitconv.experiments.training.config import write_config as write_config
from orbitconv.experiments.training.evaluation import error_percent as error_percent
from orbitconv.experiments.training.evaluation import predict as predict
from orbitconv.experiments.training.examples import Examples as Examples
from orbitconv.experiments.training.in_memory import fit as fit
from orbitconv.experiments.training.in_memory import train as train
from orbitconv.experiments.training.networks import TrainedNetwork as TrainedNetwork
from orbitconv.experiments.training.networks import build_network as build_network
from orbitconv.experiments.training.networks import load_trained as load_trained
from orbitconv.experiments.training.networks import read_trained as read_trained
from orbitconv.experiments.training.run import Trained as Trained
from orbitconv.experiments.training.run import TrainNetwork as TrainNetwork
from orbitconv.experiments.training.run import WholeTraining as WholeTraining
from orbitconv.experiments.training.run import train_network as train_network
from orbitconv.experiments.training.settings import Augmentation as Augmentation
from orbitconv.experiments.training.settings import Hardware as Hardware
from orbitconv.experiments.training.settings import Plan as Plan
from orbitconv.experiments.training.settings import Training as Training
