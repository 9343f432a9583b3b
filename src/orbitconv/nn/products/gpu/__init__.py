"""The product of group layers in Triton, for CUDA tensors; it was tested in Triton's interpreter, never on a GPU."""
