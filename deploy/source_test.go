package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	module   = "logsluice"
	kcl      = "github.com/vmware/vmware-go-kcl-v2/clientlibrary"
	services = "github.com/aws/aws-sdk-go-v2/service/"
)

// source is a type-checked package of the program.
type source struct {
	path  string // import path
	files []*ast.File
	info  *types.Info
}

// packages returns the packages of this module and of the KCL that are in the binary.
func packages(t *testing.T) []source {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles", "..")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err, stderr.String())
	}
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	exports := map[string]string{}
	var ours []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") || strings.HasPrefix(p.ImportPath, kcl+"/") {
			ours = append(ours, p)
		}
	}
	files := token.NewFileSet()
	config := types.Config{Importer: importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })}
	var sources []source
	for _, p := range ours {
		s := source{path: p.ImportPath, info: &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			s.files = append(s.files, file)
		}
		if _, err := config.Check(p.ImportPath, files, s.files, s.info); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	return sources
}

// calls returns the AWS operations that a package calls, as service:Operation: through the SDK's
// clients, interfaces like theirs, paginators and waiters.
func (s source) calls() map[string]bool {
	found := map[string]bool{}
	for _, used := range s.info.Uses {
		f, ok := used.(*types.Func)
		if !ok {
			continue
		}
		params := f.Signature().Params()
		for i := range params.Len() {
			named, ok := deref(params.At(i).Type()).(*types.Named)
			if !ok || named.Obj().Pkg() == nil {
				continue
			}
			service, isService := strings.CutPrefix(named.Obj().Pkg().Path(), services)
			operation, isClient := strings.CutSuffix(named.Obj().Name(), "APIClient")
			switch {
			case !isService || strings.Contains(service, "/"):
			case isClient:
				found[service+":"+operation] = true
			case named.Obj().Name() == f.Name()+"Input":
				found[service+":"+f.Name()] = true
			}
		}
	}
	return found
}

func deref(t types.Type) types.Type {
	if p, ok := t.(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}

// uses reports whether a package uses a function or method of a name.
func (s source) uses(name string) bool {
	for _, used := range s.info.Uses {
		if _, isFunc := used.(*types.Func); isFunc && used.Name() == name {
			return true
		}
	}
	return false
}

// requests returns where a package makes HTTP requests, as "package.Function METHOD": each call
// of a function with a constant argument for a parameter named method.
func (s source) requests() map[string]bool {
	found := map[string]bool{}
	for _, file := range s.files {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				signature, ok := s.info.Types[call.Fun].Type.(*types.Signature)
				if !ok {
					return true
				}
				for i := range min(signature.Params().Len(), len(call.Args)) {
					value := s.info.Types[call.Args[i]].Value
					if signature.Params().At(i).Name() == "method" && value != nil && value.Kind() == constant.String {
						found[fmt.Sprintf("%s.%s %s", filepath.Base(s.path), f.Name.Name, constant.StringVal(value))] = true
					}
				}
				return true
			})
		}
	}
	return found
}
