// SPDX-License-Identifier: Apache-2.0

// Package graph says what runs next. Compile makes a Graph of a Definition; a Run takes the
// items of one turn through it; a Reply knows which segment of the answer is to be spoken
// next, when it is complete, and how much of it a playout position covers.
//
//	Definition --Compile--> Graph, or every fault at once
//
//	Emit --> edges whose conditions hold --> merge --> queue --> hands --> Done
//	           |  none: dropped, told          |         |         |  Fail: the branch that stands in,
//	           select: the first of them       |         |         |        else dead letters
//	                                           holds what is       Cancel: dropped, with what only
//	                                           behind in order             that node feeds
//
// A run holds descriptors and calls nobody: what it decides is in a Log, in order, and whoever
// runs it has the nodes do it.
//
// Of a Graph:
//
//  1. It has no cycles; each node stands in the order behind all that lead to it, edges and
//     fallback branches alike.
//  2. Equal definitions have one fingerprint, in whatever order they are declared.
//  3. What goes along an edge is what its one end gives and its other end takes.
//
// Of a Run:
//
//  4. An item is put on an edge at most once, and given to a node at most once.
//  5. What a node is given along an edge comes in the order in which it was put there.
//  6. Where several edges lead to a node, what comes is in the order of what it was made of:
//     nothing passes what is still to come and stands before it. A merge that lets the first
//     through does not wait for those that have lost.
//  7. put on edges = passed on + done + dropped + dead letters + under way; each end is in the
//     Log with its reason. What was refused has left no trace but a count.
//  8. A node has one item in hand at most, and nothing waits for one that has none, unless it is
//     paused. Several models, and several synthesisers, take items in one order.
//  9. What waits is bounded; at the bound the producer is told so.
//  10. After its failure, cancel or end a node is given nothing, and nothing is taken from it.
//  11. A cancel reaches a node and what only it feeds: a node with several edges only when
//     every live one belongs to the scope.
//  12. Equal calls give equal logs. In the steady state an item allocates nothing.
//
// Of a Reply:
//
//  13. Segments are spoken in the order of their index, each at most once.
//  14. A segment is not handed to the synthesiser before the one in front of it is done.
//  15. The reply is complete exactly when the model has ended and every segment is done.
package graph
