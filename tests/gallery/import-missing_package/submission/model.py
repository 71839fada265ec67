from blocks import resnet18 as MyModel
