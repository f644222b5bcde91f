// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"encoding/binary"
	"slices"
	"testing"
)

// field encodes one field that holds bytes.
func field(number int, parts ...[]byte) []byte {
	value := slices.Concat(parts...)
	b := binary.AppendUvarint(nil, uint64(number)<<3|2)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

func scalar(number int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3), value)
}

// small is a file with one constant of two floats in the branch for 16 kHz.
func small(name string, dims ...uint64) []byte {
	var shape []byte
	for _, d := range dims {
		shape = append(shape, scalar(tensorDims, d)...)
	}
	constant := field(graphNode,
		field(nodeOutput, []byte("If_0_then_branch__Inline_0__"+name)),
		field(nodeOpType, []byte("Constant")),
		field(nodeAttribute, field(attributeTensor, shape, scalar(tensorType, typeFloat), field(tensorRaw, []byte{0, 0, 128, 63, 0, 0, 0, 64}))))
	branch := field(nodeAttribute, field(attributeName, []byte("then_branch")), field(attributeGraph, constant))
	return field(modelGraph, field(graphNode, field(nodeOpType, []byte("If")), branch))
}

func TestReadWeightsReadsWhatWasWritten(t *testing.T) {
	found, err := readWeights(small("some.weight", 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	values, err := found.get("some.weight", 2, 1)
	if err != nil || !slices.Equal(values, []float32{1, 2}) {
		t.Errorf("got %v, %v; want [1 2]", values, err)
	}
	if _, err := found.get("some.weight", 2); err == nil {
		t.Error("another shape was accepted")
	}
	for _, dims := range [][]uint64{{1 << 40}, {1 << 20, 1 << 20}, {1, 1, 1, 1, 1, 1, 1, 1, 1}} {
		if _, err := readWeights(small("some.weight", dims...)); err == nil {
			t.Errorf("dimensions %v were accepted", dims)
		}
	}
}

func FuzzReadWeights(f *testing.F) {
	f.Add(small("decoder.decoder.2.bias", 2))
	f.Add(small("x", 1, 2, 1))
	f.Add([]byte{modelGraph<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, onnx []byte) {
		found, err := readWeights(onnx)
		if err != nil {
			return
		}
		for name, v := range found {
			if len(v.raw) > len(onnx) {
				t.Errorf("%s: %d bytes out of a file of %d", name, len(v.raw), len(onnx))
			}
			_, _ = found.get(name, v.dims...)
		}
		_, _ = NewSilero(onnx)
	})
}
