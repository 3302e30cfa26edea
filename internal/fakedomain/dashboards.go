package fakedomain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Dashboards is a fake of OpenSearch Dashboards with its saved objects. See
// src/core/server/saved_objects/{routes,import} of OpenSearch-Dashboards, and
// src/core/server/http/lifecycle_handlers.ts for the header.
type Dashboards struct {
	record
	// BasePath begins all paths, such as /_dashboards.
	BasePath string
	// NotReady makes it respond as while it starts.
	NotReady bool
	// Refuse has the error messages for objects to refuse, by "type:id".
	Refuse map[string]string

	mu      sync.Mutex
	objects map[string]map[string]any // by "type:id"
}

// importable are the supported types.
var importable = []string{"index-pattern", "search", "visualization", "dashboard"}

// Edit calls edit with the saved object of a "type:id", or nil.
func (d *Dashboards) Edit(key string, edit func(object map[string]any)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	edit(d.objects[key])
}

// Delete removes a saved object by "type:id".
func (d *Dashboards) Delete(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.objects, key)
}

func failure(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"statusCode": status, "error": http.StatusText(status), "message": message})
}

// ServeHTTP implements http.Handler.
func (d *Dashboards) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.note(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch at := r.Method + " " + r.URL.Path; {
	case d.NotReady:
		http.Error(w, "OpenSearch Dashboards server is not ready yet", http.StatusServiceUnavailable)
	case r.Method != http.MethodGet && r.Header.Get("osd-xsrf") == "":
		failure(w, http.StatusBadRequest, "Request must contain a osd-xsrf header.")
	case at == "GET "+d.BasePath+"/api/status":
		answer(w, http.StatusOK, map[string]any{"name": "osd", "version": map[string]any{"number": "3.8.0"}, "status": map[string]any{"overall": map[string]any{"state": "green", "title": "Green"}}})
	case at == "POST "+d.BasePath+"/api/saved_objects/_bulk_get":
		d.bulkGet(w, r)
	case at == "POST "+d.BasePath+"/api/saved_objects/_import":
		d.importObjects(w, r)
	default:
		failure(w, http.StatusNotFound, "Not Found")
	}
}

func (d *Dashboards) bulkGet(w http.ResponseWriter, r *http.Request) {
	var names []map[string]string
	if err := json.NewDecoder(r.Body).Decode(&names); err != nil {
		failure(w, http.StatusBadRequest, "[request body]: "+err.Error())
		return
	}
	found := []any{}
	for _, n := range names {
		key := n["type"] + ":" + n["id"]
		switch object := d.objects[key]; {
		case !slices.Contains(importable, n["type"]):
			found = append(found, map[string]any{"type": n["type"], "id": n["id"], "error": map[string]any{"statusCode": 400, "error": "Bad Request", "message": "Unsupported saved object type: '" + n["type"] + "': Bad Request"}})
		case object == nil:
			found = append(found, map[string]any{"type": n["type"], "id": n["id"], "error": map[string]any{"statusCode": 404, "error": "Not Found", "message": "Saved object [" + n["type"] + "/" + n["id"] + "] not found"}})
		default:
			found = append(found, object)
		}
	}
	answer(w, http.StatusOK, map[string]any{"saved_objects": found})
}

func (d *Dashboards) importObjects(w http.ResponseWriter, r *http.Request) {
	file, header, err := r.FormFile("file")
	if err != nil {
		failure(w, http.StatusBadRequest, "[request body.file]: expected value of type [Stream]")
		return
	}
	if extension := strings.ToLower(path.Ext(header.Filename)); extension != ".ndjson" {
		failure(w, http.StatusBadRequest, "Invalid file extension "+extension)
		return
	}
	raw, _ := io.ReadAll(file)
	imported, failures := map[string]map[string]any{}, []any{}
	fail := func(object, why map[string]any) {
		failures = append(failures, map[string]any{"type": object["type"], "id": object["id"], "error": why})
		delete(imported, key(object))
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, len(raw)+1)
	for lines.Scan() {
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			failure(w, http.StatusBadRequest, err.Error())
			return
		}
		imported[key(object)] = object
	}
	nothing := false // nothing is imported after errors that a person could resolve
	for k, object := range maps.Clone(imported) {
		_, exists := d.objects[k]
		switch missing := d.missing(object, imported); {
		case !slices.Contains(importable, object["type"].(string)):
			fail(object, map[string]any{"type": "unsupported_type"})
		case len(missing) > 0:
			fail(object, map[string]any{"type": "missing_references", "references": missing})
			nothing = true
		case exists && r.FormValue("overwrite") != "true":
			fail(object, map[string]any{"type": "conflict"})
			nothing = true
		}
	}
	for k, object := range maps.Clone(imported) {
		if message, refused := d.Refuse[k]; refused {
			fail(object, map[string]any{"type": "unknown", "message": message, "statusCode": 400})
		} else if !nothing {
			d.keep(object)
		}
	}
	result := map[string]any{"success": len(failures) == 0, "successCount": len(imported)}
	if len(failures) > 0 {
		result["errors"] = failures
	}
	answer(w, http.StatusOK, result)
}

func key(object map[string]any) string {
	kind, _ := object["type"].(string)
	id, _ := object["id"].(string)
	return kind + ":" + id
}

// missing returns the references of an object to objects that neither exist nor are imported
// with it.
func (d *Dashboards) missing(object map[string]any, others map[string]map[string]any) []any {
	var missing []any
	references, _ := object["references"].([]any)
	for _, r := range references {
		r := r.(map[string]any)
		if r["type"] != "index-pattern" && r["type"] != "search" {
			continue
		}
		if others[key(r)] == nil && d.objects[key(r)] == nil {
			missing = append(missing, map[string]any{"type": r["type"], "id": r["id"]})
		}
	}
	return missing
}

// keep stores an object with the attributes that Dashboards adds.
func (d *Dashboards) keep(object map[string]any) {
	if d.objects == nil {
		d.objects = map[string]map[string]any{}
	}
	object["updated_at"] = time.Now().UTC().Format(time.RFC3339Nano)
	object["version"] = "WzEsMV0="
	object["namespaces"] = []any{"default"}
	attributes, _ := object["attributes"].(map[string]any)
	if _, has := attributes["version"]; !has && object["type"] != "index-pattern" {
		attributes["version"] = 1
	}
	d.objects[key(object)] = object
}
