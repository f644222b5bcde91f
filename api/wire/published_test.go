// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

var rewrite = flag.Bool("rewrite", false, "rewrite docs/parley.proto, the table of the TypeScript client, and the shared messages")

// described is a message with its fields.
type described struct {
	name   string
	fields []field
	of     reflect.Type
}

func nameOf(m fielder) string {
	name := reflect.TypeOf(m).Elem().Name()
	return strings.ToUpper(name[:1]) + name[1:]
}

func fieldsOf(m fielder) (list []field) {
	m.fields(&coder{doing: describing, describe: func(f field) { list = append(list, f) }})
	return list
}

// everything is each message there is: those of both ends, then what is in them.
func everything(t *testing.T) (client, server, all []described) {
	t.Helper()
	seen := map[string]bool{}
	var add func(m fielder)
	add = func(m fielder) {
		if name := nameOf(m); !seen[name] {
			seen[name] = true
			d := described{name, fieldsOf(m), reflect.TypeOf(m).Elem()}
			all = append(all, d)
			for _, f := range d.fields {
				if f.of != nil {
					add(f.of)
				}
			}
		}
	}
	for i := range 64 {
		n := protoreflect.FieldNumber(i)
		if m := clientMessage("", n); n > 0 && m != nil {
			kind, _ := m.clientType()
			client = append(client, described{kind, []field{{number: n, name: kind, of: m}}, nil})
			add(m)
		}
		if m := serverMessage("", n); n > 0 && m != nil {
			kind, _ := m.serverType()
			server = append(server, described{kind, []field{{number: n, name: kind, of: m}}, nil})
			add(m)
		}
	}
	return client, server, all
}

// jsonFields are the names that JSON gives the fields of a type, and whether each is always
// there.
func jsonFields(of reflect.Type) map[string]bool {
	list := map[string]bool{}
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Type == reflect.TypeFor[head]() {
			continue
		}
		if f.Anonymous {
			for name, always := range jsonFields(f.Type) {
				list[name] = always
			}
			continue
		}
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			list[name] = options == ""
		}
	}
	return list
}

// TestTableHasEveryField shows that the binary encoding has exactly the fields of the JSON,
// each with a number of its own.
func TestTableHasEveryField(t *testing.T) {
	client, server, all := everything(t)
	if len(client) != 15 || len(server) != 14 {
		t.Fatalf("%d messages of clients, %d of servers", len(client), len(server))
	}
	for _, m := range all {
		numbers, names := map[int32]bool{}, map[string]bool{}
		for _, f := range m.fields {
			if numbers[int32(f.number)] || names[f.name] || f.number < 1 {
				t.Errorf("%s.%s: number %d or the name is there twice", m.name, f.name, f.number)
			}
			numbers[int32(f.number)], names[f.name] = true, true
		}
		if m.name == "ToolList" || m.name == "RawEntry" {
			continue // JSON needs none
		}
		want := jsonFields(m.of)
		for name := range want {
			if !names[name] {
				t.Errorf("%s: the binary encoding has no %q", m.name, name)
			}
		}
		for name := range names {
			if _, ok := want[name]; !ok {
				t.Errorf("%s: JSON has no %q", m.name, name)
			}
		}
	}
}

// nullable says that JSON writes null where a field has no value.
func nullable(of reflect.Type, name string) bool {
	for i := range of.NumField() {
		if f := of.Field(i); f.Tag.Get("json") == name {
			return f.Type.Kind() == reflect.Pointer
		}
	}
	return false
}

// protoText is the published description.
func protoText(t *testing.T) string {
	t.Helper()
	client, server, all := everything(t)
	var b strings.Builder
	b.WriteString(`// SPDX-License-Identifier: Apache-2.0

// The messages of parley.v1 in the binary encoding, which docs/websocket.md explains. Fields are
// those of the JSON, with the same names. Written by go test ./api/wire -run Published -rewrite.

syntax = "proto3";

package parley.v1;

// A binary frame of a client whose first byte is not 1.
message FromClient {
  oneof message {
`)
	for _, m := range client {
		fmt.Fprintf(&b, "    %s %s = %d;\n", nameOf(m.fields[0].of), m.name, m.fields[0].number)
	}
	fmt.Fprintf(&b, "  }\n}\n\n// A binary frame of a server whose first byte is not 2.\nmessage FromServer {\n  int64 seq = %d; // 0 = it has none\n  oneof message {\n", seqNumber)
	for _, m := range server {
		fmt.Fprintf(&b, "    %s %s = %d;\n", nameOf(m.fields[0].of), m.name, m.fields[0].number)
	}
	b.WriteString("  }\n}\n")
	for _, m := range all {
		fmt.Fprintf(&b, "\nmessage %s {\n", m.name)
		for _, f := range m.fields {
			kind, note := f.kind, ""
			if f.of != nil {
				kind = nameOf(f.of)
			}
			if strings.Contains(kind, "bytes") {
				note = " // JSON"
			}
			fmt.Fprintf(&b, "  %s = %d;%s\n", strings.TrimSpace(f.label+" "+kind+" "+f.name), f.number, note)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// tableText is the table of the TypeScript client.
func tableText(t *testing.T) string {
	t.Helper()
	client, server, all := everything(t)
	var b strings.Builder
	b.WriteString(`// SPDX-License-Identifier: Apache-2.0

// The fields of the binary encoding, as docs/parley.proto has them. Written by
// go test ./api/wire -run Published -rewrite.

/** number, kind or message, and what else is so: a list; there though it is empty, or null then; or left out. */
export type Field = readonly [number, string, ("list" | "always" | "null" | "maybe")?];
export type Table = Readonly<Record<string, Readonly<Record<string, Field>>>>;

`)
	for _, side := range []struct {
		name string
		list []described
	}{{"FROM_CLIENT", client}, {"FROM_SERVER", server}} {
		fmt.Fprintf(&b, "export const %s: Readonly<Record<string, readonly [number, string]>> = {\n", side.name)
		for _, m := range side.list {
			fmt.Fprintf(&b, "  %s: [%d, %q],\n", m.name, m.fields[0].number, nameOf(m.fields[0].of))
		}
		b.WriteString("};\n\n")
	}
	b.WriteString("export const MESSAGES: Table = {\n")
	for _, m := range all {
		always := map[string]bool{}
		if m.name != "ToolList" {
			always = jsonFields(m.of)
		}
		fmt.Fprintf(&b, "  %s: {\n", m.name)
		for _, f := range m.fields {
			kind, more := f.kind, ""
			if f.of != nil {
				kind = nameOf(f.of)
			}
			switch {
			case f.label == "repeated":
				more = `, "list"`
			case always[f.name] && nullable(m.of, f.name):
				more = `, "null"`
			case always[f.name]:
				more = `, "always"`
			case f.label == "optional":
				more = `, "maybe"`
			}
			fmt.Fprintf(&b, "    %s: [%d, %q%s],\n", f.name, f.number, kind, more)
		}
		b.WriteString("  },\n")
	}
	b.WriteString("};\n")
	return b.String()
}

// TestPublished compares what is published with the table that the codec is driven by.
func TestPublished(t *testing.T) {
	for path, want := range map[string]string{
		"../../docs/parley.proto": protoText(t), "../../clients/typescript/src/table.ts": tableText(t),
	} {
		if *rewrite {
			if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what the table says (%v): run go test ./api/wire -run Published -rewrite", path, err)
		}
	}
}

// descriptor is the table as the reference implementation of Protocol Buffers takes it.
func descriptor(t *testing.T) protoreflect.FileDescriptor {
	t.Helper()
	client, server, all := everything(t)
	file := &descriptorpb.FileDescriptorProto{Name: new("parley.proto"), Package: new("parley.v1"), Syntax: new("proto3")}
	for _, side := range []struct {
		name string
		list []described
	}{{"FromClient", client}, {"FromServer", server}} {
		m := &descriptorpb.DescriptorProto{Name: &side.name, OneofDecl: []*descriptorpb.OneofDescriptorProto{{Name: new("message")}}}
		if side.name == "FromServer" {
			m.Field = append(m.Field, plain(field{number: seqNumber, name: "seq", kind: "int64"}))
		}
		for _, one := range side.list {
			f := plain(one.fields[0])
			f.OneofIndex = new(int32)
			m.Field = append(m.Field, f)
		}
		file.MessageType = append(file.MessageType, m)
	}
	for _, one := range all {
		m := &descriptorpb.DescriptorProto{Name: new(one.name)}
		for _, f := range one.fields {
			d := plain(f)
			if f.label == "optional" {
				d.Proto3Optional = new(true)
				d.OneofIndex = new(int32(len(m.OneofDecl)))
				m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: new("_" + f.name)})
			}
			if f.kind == "map<string, bytes>" {
				key, value := plain(field{number: 1, name: "key", kind: "string"}), plain(field{number: 2, name: "value", kind: "bytes"})
				m.NestedType = append(m.NestedType, &descriptorpb.DescriptorProto{
					Name: new("ExtensionsEntry"), Field: []*descriptorpb.FieldDescriptorProto{key, value},
					Options: &descriptorpb.MessageOptions{MapEntry: new(true)},
				})
				d.Type, d.TypeName = new(descriptorpb.FieldDescriptorProto_TYPE_MESSAGE), new(".parley.v1."+one.name+".ExtensionsEntry")
				d.Label = new(descriptorpb.FieldDescriptorProto_LABEL_REPEATED)
			}
			m.Field = append(m.Field, d)
		}
		file.MessageType = append(file.MessageType, m)
	}
	made, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func plain(f field) *descriptorpb.FieldDescriptorProto {
	d := &descriptorpb.FieldDescriptorProto{
		Name: new(f.name), Number: new(int32(f.number)), JsonName: new(f.name), Label: new(descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL),
	}
	if f.label == "repeated" {
		d.Label = new(descriptorpb.FieldDescriptorProto_LABEL_REPEATED)
	}
	if f.of != nil {
		d.Type, d.TypeName = new(descriptorpb.FieldDescriptorProto_TYPE_MESSAGE), new(".parley.v1."+nameOf(f.of))
		return d
	}
	kinds := map[string]descriptorpb.FieldDescriptorProto_Type{
		"string": descriptorpb.FieldDescriptorProto_TYPE_STRING, "int64": descriptorpb.FieldDescriptorProto_TYPE_INT64,
		"uint32": descriptorpb.FieldDescriptorProto_TYPE_UINT32, "bool": descriptorpb.FieldDescriptorProto_TYPE_BOOL,
		"bytes": descriptorpb.FieldDescriptorProto_TYPE_BYTES, "map<string, bytes>": descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	}
	d.Type = new(kinds[f.kind])
	return d
}

// TestReferenceImplementation has the messages read, and written again, by Google's
// implementation from the published description: nothing is unknown to it, and what it
// writes is read here as what it was.
func TestReferenceImplementation(t *testing.T) {
	file := descriptor(t)
	for _, one := range shared(t) {
		side := protoreflect.Name("FromClient")
		if one.Server {
			side = "FromServer"
		}
		m := dynamicpb.NewMessage(file.Messages().ByName(side))
		if err := proto.Unmarshal(one.bytes(t), m); err != nil {
			t.Errorf("%s: %v", one.JSON, err)
			continue
		}
		if unknown(m) {
			t.Errorf("%s: it holds fields that are not in the description: %s", one.JSON, protojson.Format(m))
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if text := one.json(t, again); !bytes.Equal(text, one.JSON) {
			t.Errorf("%s\nwas written again as\n%s", one.JSON, text)
		}
	}
}

func unknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				found = found || unknown(v.List().Get(i).Message())
			}
		default:
			found = found || unknown(v.Message())
		}
		return true
	})
	return found
}

// TestKeyHasOneNumber shows that a key is at the same place in every message.
func TestKeyHasOneNumber(t *testing.T) {
	_, _, all := everything(t)
	for _, m := range all {
		if i := slices.IndexFunc(m.fields, func(f field) bool { return f.name == "key" }); i >= 0 && m.name != "RawEntry" && m.fields[i].number != keyNumber {
			t.Errorf("%s: key is number %d", m.name, m.fields[i].number)
		}
	}
}
