// SPDX-License-Identifier: Apache-2.0

// Package bench measures Parley against the physical limit of the machine it runs on:
// every figure is a ratio to a denominator that is measured in the same run, in turn
// with it. Machines are shared and noisy, so the ratios count and the absolutes do not.
//
// Method: several alternating runs of denominator and subject, their medians and their
// spread; the share of processor time that other guests took (stolen) beside it. A run
// in which more than StolenLimit of the time was stolen is void: it is repeated, not
// averaged.
package bench
