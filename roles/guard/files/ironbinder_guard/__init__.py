# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The guard of one node: who its pods are, and the table of nftables that keeps them apart."""
