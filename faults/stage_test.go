package faults

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// Who writes a stage finds its optional faces in the comment of Stage: all of them.
func TestStageNamesItsFaces(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "stage.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var faces []string
	said := ""
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		spec := g.Specs[0].(*ast.TypeSpec)
		if _, face := spec.Type.(*ast.InterfaceType); !face {
			continue
		}
		if spec.Name.Name == "Stage" {
			said = g.Doc.Text()
			continue
		}
		faces = append(faces, spec.Name.Name)
	}
	if len(faces) < 10 {
		t.Fatalf("only %v are found", faces)
	}
	named := strings.FieldsFunc(said, func(r rune) bool { return strings.ContainsRune(" ,\t\n", r) })
	for _, face := range faces {
		n := 0
		for _, word := range named {
			if word == face {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the comment of Stage names %s %d times", face, n)
		}
	}
}
