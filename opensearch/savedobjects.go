package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
)

// Comparing and importing saved objects of OpenSearch Dashboards.

// Dashboards is the OpenSearch Dashboards of a domain.
type Dashboards struct {
	// Client sends requests to Dashboards.
	Client Client
	// Tenant of the security plugin: its name, global, or private. If it is empty,
	// Dashboards chooses, usually the user's private tenant.
	Tenant string
}

// Status returns the version of Dashboards and its state, such as green.
func (d Dashboards) Status(ctx context.Context) (version, state string, err error) {
	var answer struct {
		Version struct{ Number string }
		Status  struct{ Overall struct{ State string } }
	}
	const doing = "read the status"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/status", http.NoBody)
	if err != nil {
		return "", "", fmt.Errorf(doing+": %w", err)
	}
	err = d.send(doing, req, "application/json", &answer)
	return answer.Version.Number, answer.Status.Overall.State, err
}

// SavedObject is the result for one saved object.
type SavedObject struct {
	// Type and ID identify it.
	Type, ID string
	// Changes are what must change, or was changed, for Dashboards to have the object.
	Changes []string
	// Err is why the object could not be read or written, or nil.
	Err error

	line []byte // the wanted object
}

// Compare reads the Dashboards' versions of saved objects and compares them with lines,
// which are lines of an export. Members that Dashboards adds do not count, nor does how
// often a field was used.
// See https://docs.opensearch.org/latest/dashboards/management/saved-objects/.
func (d Dashboards) Compare(ctx context.Context, lines [][]byte) ([]SavedObject, error) {
	type name struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	names, wanted := make([]name, len(lines)), make([]map[string]any, len(lines))
	for i, line := range lines {
		if err := errors.Join(json.Unmarshal(line, &names[i]), json.Unmarshal(line, &wanted[i])); err != nil {
			return nil, fmt.Errorf("read a saved object: %w", err)
		}
	}
	body, err := json.Marshal(names)
	if err != nil {
		return nil, fmt.Errorf("name the saved objects: %w", err)
	}
	var answer struct {
		Objects []map[string]any `json:"saved_objects"`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/api/saved_objects/_bulk_get", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read the saved objects: %w", err)
	}
	if err := d.send("read the saved objects", req, "application/json", &answer); err != nil {
		return nil, err
	}
	found := map[name]map[string]any{}
	for _, object := range answer.Objects {
		kind, _ := object["type"].(string)
		id, _ := object["id"].(string)
		found[name{kind, id}] = object
	}
	objects := make([]SavedObject, len(lines))
	for i, n := range names {
		o := SavedObject{Type: n.Type, ID: n.ID}
		if n.Type == indexPattern {
			keepAdded(found[n], wanted[i])
		}
		if o.line, err = json.Marshal(wanted[i]); err != nil {
			return nil, fmt.Errorf("write a saved object: %w", err)
		}
		o.Changes, o.Err = objectChanges(found[n], wanted[i])
		objects[i] = o
	}
	return objects, nil
}

// objectChanges returns the differences between a saved object in Dashboards and the
// wanted one.
func objectChanges(was, is map[string]any) ([]string, error) {
	failure, failed := was["error"].(map[string]any)
	switch {
	case failed && failure["statusCode"] == float64(http.StatusNotFound):
		return []string{Installed}, nil
	case failed:
		return nil, fmt.Errorf("read a saved object: OpenSearch Dashboards answers %v: %v", failure["statusCode"], failure["message"])
	case was == nil:
		return nil, errors.New("read a saved object: OpenSearch Dashboards did not return it")
	}
	changes := diff("", comparedParts(was), comparedParts(is), false)
	slices.Sort(changes)
	return changes, nil
}

const indexPattern = "index-pattern"

// keepAdded copies people's additions to an index pattern to the new one, because an
// import replaces all of it: scripted fields, formats of other fields, filters, and how
// often each field was used.
func keepAdded(was, is map[string]any) {
	before, _ := was["attributes"].(map[string]any)
	after, _ := is["attributes"].(map[string]any)
	for name, value := range before {
		if _, own := after[name]; !own {
			after[name] = value
		}
	}
	var theirs, fields []map[string]any
	if decodeText(before["fields"], &theirs) && decodeText(after["fields"], &fields) {
		for _, field := range theirs {
			own := slices.IndexFunc(fields, func(f map[string]any) bool { return f["name"] == field["name"] })
			switch {
			case own >= 0:
				fields[own]["count"] = field["count"]
			case field["scripted"] == true:
				fields = append(fields, field)
			}
		}
		after["fields"] = text(fields)
	}
	var theirFormats, formats map[string]any
	if decodeText(before["fieldFormatMap"], &theirFormats) && decodeText(after["fieldFormatMap"], &formats) {
		for field, format := range theirFormats {
			if _, own := formats[field]; !own {
				formats[field] = format
			}
		}
		after["fieldFormatMap"] = text(formats)
	}
}

// decodeText decodes JSON in a string of a saved object, and reports whether it is valid.
func decodeText(v, into any) bool {
	s, _ := v.(string)
	return json.Unmarshal([]byte(s), into) == nil
}

// comparedParts returns the parts of a saved object that are compared. JSON in strings is
// decoded, and unordered lists are converted to maps by name.
func comparedParts(object map[string]any) map[string]any {
	attributes, _ := expandJSON(object["attributes"]).(map[string]any)
	if fields, ok := attributes["fields"].([]any); ok && object["type"] == indexPattern {
		named := byName(fields)
		for _, field := range named {
			if field, ok := field.(map[string]any); ok {
				delete(field, "count") // number of uses in Discover
			}
		}
		attributes["fields"] = named
	}
	references, _ := object["references"].([]any)
	return map[string]any{"attributes": attributes, "references": byName(references)}
}

func byName(list []any) map[string]any {
	named := map[string]any{}
	for _, element := range list {
		if element, ok := element.(map[string]any); ok {
			named[fmt.Sprint(element["name"])] = element
		}
	}
	return named
}

// expandJSON returns a value in which strings with JSON objects or lists are replaced by
// these.
func expandJSON(v any) any {
	switch v := v.(type) {
	case string:
		var inner any
		if (strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[")) && json.Unmarshal([]byte(v), &inner) == nil {
			return expandJSON(inner)
		}
	case map[string]any:
		for key, value := range v {
			v[key] = expandJSON(value)
		}
	case []any:
		for i, value := range v {
			v[i] = expandJSON(value)
		}
	}
	return v
}

// Import writes the objects that have changes, and replaces existing ones. It sets Err of
// each object that was not accepted.
func (d Dashboards) Import(ctx context.Context, objects []SavedObject) error {
	var lines [][]byte
	for _, o := range objects {
		if len(o.Changes) > 0 {
			lines = append(lines, o.line)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", "logsluice.ndjson") // other extensions are refused
	if err == nil {
		_, err = file.Write(bytes.Join(lines, []byte("\n")))
	}
	if err = errors.Join(err, form.Close()); err != nil {
		return fmt.Errorf("write the saved objects: %w", err)
	}
	var answer struct {
		Success bool
		Errors  []importError
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/api/saved_objects/_import?overwrite=true", &body)
	if err != nil {
		return fmt.Errorf("import the saved objects: %w", err)
	}
	if err := d.send("import the saved objects", req, form.FormDataContentType(), &answer); err != nil {
		return err
	}
	if answer.Success {
		return nil
	}
	return d.setErrors(ctx, objects, answer.Errors)
}

// setErrors sets Err of the objects that a failed import did not write. After some
// errors Dashboards reports that it wrote the others although it did not, so they are
// compared again. See createSavedObjects in OpenSearch-Dashboards'
// src/core/server/saved_objects/import.
func (d Dashboards) setErrors(ctx context.Context, objects []SavedObject, failures []importError) error {
	lines := make([][]byte, len(objects))
	for i, o := range objects {
		lines[i] = o.line
	}
	after, err := d.Compare(ctx, lines)
	if err != nil {
		return err
	}
	for i := range objects {
		o := &objects[i]
		own := slices.IndexFunc(failures, func(f importError) bool { return f.Type == o.Type && f.ID == o.ID })
		switch {
		case own >= 0:
			o.Err = failures[own].error()
		case len(after[i].Changes) > 0 || after[i].Err != nil:
			o.Err = errors.New("import the saved objects: it was left out because others were refused")
		}
	}
	return nil
}

// importError is why an object was not imported.
type importError struct {
	Type, ID string
	Error    struct {
		Type       string
		Message    string
		References []struct{ Type, ID string }
	}
}

func (e importError) error() error {
	text := e.Error.Type
	if e.Error.Message != "" {
		text += ": " + e.Error.Message
	}
	for _, r := range e.Error.References {
		text += ": " + r.Type + " " + r.ID + " does not exist"
	}
	return errors.New("import the saved object: OpenSearch Dashboards answers " + text)
}

// send sends a request with the headers that Dashboards requires.
func (d Dashboards) send(doing string, req *http.Request, contentType string, answer any) error {
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("osd-xsrf", "true") // required as protection against cross-site requests
	if d.Tenant != "" {
		req.Header.Set("securitytenant", d.Tenant)
	}
	err := exchange(d.Client, doing, req, answer)
	var refused *AnswerError
	if errors.As(err, &refused) {
		refused.server = "OpenSearch Dashboards"
	}
	return err
}
