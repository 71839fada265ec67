from torch import nn
from torchvision.models import resnet18
