"""The compiler of one bridge: policy, bound ports and uplinks in, flows out."""
