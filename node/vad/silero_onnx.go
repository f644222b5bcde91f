// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// An ONNX file is a protocol buffer. The few fields that lead to the weights, by their
// numbers in onnx.proto:
const (
	modelGraph      = 7
	graphNode       = 1
	nodeOutput      = 2
	nodeOpType      = 4
	nodeAttribute   = 5
	attributeName   = 1
	attributeTensor = 5
	attributeGraph  = 6
	tensorDims      = 1
	tensorType      = 2
	tensorRaw       = 9

	typeFloat = 1
)

// Limits on what a file may ask for, far above what Silero's holds.
const (
	maxTensors  = 10_000
	maxDims     = 8
	maxElements = 1 << 22
)

var (
	errCutOff = errors.New("the file is cut off or is no ONNX file")
	errWire   = errors.New("the file is no ONNX file")
)

// tensors are the constants of the branch for 16 kHz, by the name of the weight.
type tensors map[string]tensor

type tensor struct {
	dims []int
	raw  []byte // little-endian float32
}

// get returns a tensor's values, provided it has the wanted shape.
func (t tensors) get(name string, dims ...int) ([]float32, error) {
	v, ok := t[name]
	if !ok {
		return nil, fmt.Errorf("%s: not in the file; is it silero_vad_v6.onnx?", name)
	}
	if !slices.Equal(v.dims, dims) {
		return nil, fmt.Errorf("%s: shape %v, wanted %v", name, v.dims, dims)
	}
	n := 1
	for _, d := range dims {
		n *= d
	}
	if len(v.raw) != 4*n {
		return nil, fmt.Errorf("%s: %d bytes, wanted %d", name, len(v.raw), 4*n)
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(v.raw[4*i:]))
		if values[i]-values[i] != 0 {
			return nil, fmt.Errorf("%s: element %d is %v", name, i, values[i])
		}
	}
	return values, nil
}

// readWeights finds the constants of the branch that the network takes at 16 kHz: the
// model's graph holds one If, whose then_branch holds them.
func readWeights(onnx []byte) (tensors, error) {
	found := tensors{}
	err := fields(onnx, func(number int, graph []byte) error {
		if number != modelGraph {
			return nil
		}
		return fields(graph, func(number int, node []byte) error {
			if number != graphNode {
				return nil
			}
			return found.addBranch(node)
		})
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// addBranch adds the constants of a node's then_branch, if it is an If.
func (t tensors) addBranch(node []byte) error {
	n, err := readNode(node)
	if err != nil || n.op != "If" {
		return err
	}
	for _, attribute := range n.attributes {
		var name string
		var branch []byte
		err := fields(attribute, func(number int, value []byte) error {
			switch number {
			case attributeName:
				name = string(value)
			case attributeGraph:
				branch = value
			}
			return nil
		})
		if err != nil {
			return err
		}
		if name != "then_branch" {
			continue
		}
		if err := t.addConstants(branch); err != nil {
			return err
		}
	}
	return nil
}

func (t tensors) addConstants(graph []byte) error {
	return fields(graph, func(number int, value []byte) error {
		if number != graphNode {
			return nil
		}
		n, err := readNode(value)
		if err != nil || n.op != "Constant" || len(n.attributes) == 0 {
			return err
		}
		if len(t) >= maxTensors {
			return fmt.Errorf("more than %d constants", maxTensors)
		}
		return fields(n.attributes[0], func(number int, value []byte) error {
			if number != attributeTensor {
				return nil
			}
			v, isFloat, err := readTensor(value)
			if err != nil {
				return fmt.Errorf("constant %q: %w", n.output, err)
			}
			if isFloat {
				t[weightName(n.output)] = v
			}
			return nil
		})
	})
}

// weightName takes off what the exporter put in front of a weight's name.
func weightName(output string) string {
	const inlined = "__Inline_0__"
	if i := strings.LastIndex(output, inlined); i >= 0 {
		return output[i+len(inlined):]
	}
	return output
}

type onnxNode struct {
	op, output string
	attributes [][]byte
}

func readNode(b []byte) (onnxNode, error) {
	var n onnxNode
	err := fields(b, func(number int, value []byte) error {
		switch number {
		case nodeOpType:
			n.op = string(value)
		case nodeOutput:
			n.output = string(value)
		case nodeAttribute:
			n.attributes = append(n.attributes, value)
		}
		return nil
	})
	return n, err
}

func readTensor(b []byte) (t tensor, isFloat bool, err error) {
	elements := 1
	err = numbered(b, func(number int, scalar uint64, value []byte) error {
		switch number {
		case tensorType:
			isFloat = scalar == typeFloat
		case tensorRaw:
			t.raw = value
		case tensorDims:
			if value != nil {
				return errors.New("packed dimensions are not supported")
			}
			if len(t.dims) == maxDims || scalar > maxElements {
				return fmt.Errorf("dimension %d of %d is too much", scalar, len(t.dims)+1)
			}
			if elements *= int(scalar); elements > maxElements {
				return fmt.Errorf("more than %d elements", maxElements)
			}
			t.dims = append(t.dims, int(scalar))
		}
		return nil
	})
	return t, isFloat, err
}

// fields calls f for every field that holds bytes.
func fields(b []byte, f func(number int, value []byte) error) error {
	return numbered(b, func(number int, _ uint64, value []byte) error {
		if value == nil {
			return nil
		}
		return f(number, value)
	})
}

// numbered walks over a message and calls f for every field: with a non-nil value for
// bytes, else with the number itself.
func numbered(b []byte, f func(number int, scalar uint64, value []byte) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 > math.MaxInt32 {
			return errWire
		}
		b = b[n:]
		var scalar uint64
		var value []byte
		switch tag & 7 {
		case 0:
			if scalar, n = binary.Uvarint(b); n <= 0 {
				return errCutOff
			}
		case 1:
			n = 8
		case 2:
			length, m := binary.Uvarint(b)
			if m <= 0 || length > uint64(len(b)-m) {
				return errCutOff
			}
			n = m + int(length)
			value = b[m:n:n]
		case 5:
			n = 4
		default:
			return errWire
		}
		if n > len(b) {
			return errCutOff
		}
		b = b[n:]
		if err := f(int(tag>>3), scalar, value); err != nil {
			return err
		}
	}
	return nil
}
