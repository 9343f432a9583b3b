"""The compiled product of group layers: layers, whole networks, memory, scaling and roofline in one run."""
