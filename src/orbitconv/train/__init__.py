"""Training of classifiers: settings, loop, checkpoints; nothing heavy is imported before a training begins."""

from orbitconv.train.config import Network as Network
from orbitconv.train.config import TrainConfig as TrainConfig
from orbitconv.train.config import read_config as read_config
from orbitconv.train.config import write_config as write_config
from orbitconv.train.evaluation import error_percent as error_percent
from orbitconv.train.evaluation import predict as predict
from orbitconv.train.examples import Examples as Examples
from orbitconv.train.in_memory import fit as fit
from orbitconv.train.in_memory import train as train
from orbitconv.train.networks import TrainedNetwork as TrainedNetwork
from orbitconv.train.networks import build_network as build_network
from orbitconv.train.networks import load_trained as load_trained
from orbitconv.train.networks import read_trained as read_trained
from orbitconv.train.run import Trained as Trained
from orbitconv.train.run import TrainNetwork as TrainNetwork
from orbitconv.train.run import WholeTraining as WholeTraining
from orbitconv.train.run import train_network as train_network
from orbitconv.train.settings import Augmentation as Augmentation
from orbitconv.train.settings import Hardware as Hardware
from orbitconv.train.settings import Plan as Plan
from orbitconv.train.settings import Training as Training
