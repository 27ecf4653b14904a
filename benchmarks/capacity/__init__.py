"""What a deployment past one machine takes: measured here, modelled, simulated, told in docs/capacity.md."""
