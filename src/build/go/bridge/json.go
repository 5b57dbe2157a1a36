package bridge

import (
	"bytes"
	"encoding/json"
	"time"
)

func init() { rehearsals = append(rehearsals, rehearseJSON) }

// What most of what is written and read is made of. An application's own types are looked at when they are first used.
type document struct {
	Count   int               `json:"count,omitempty"`
	Long    int64             `json:"long"`
	Number  float64           `json:"number"`
	Name    string            `json:"name"`
	Is      bool              `json:"is"`
	At      time.Time         `json:"at"`
	Names   []string          `json:"names"`
	Numbers []float64         `json:"numbers"`
	Parts   []document        `json:"parts"`
	Next    *document         `json:"next"`
	Texts   map[string]string `json:"texts"`
	Values  map[string]any    `json:"values"`
	Raw     json.RawMessage   `json:"raw"`
}

func rehearseJSON() {
	texts := map[string]string{"name": "value"}
	values := map[string]any{"name": "value", "list": []any{1.5, 7, true, nil}, "texts": texts}
	whole := document{Name: "name", Names: []string{"name"}, Parts: []document{{}}, Texts: texts, Values: values}
	for _, value := range []any{texts, values, whole, &whole, []document{whole}} {
		_ = json.NewEncoder(new(bytes.Buffer)).Encode(value)
		_, _ = json.MarshalIndent(value, "", " ")
	}
	text, _ := json.Marshal(whole)
	for _, read := range []any{new(document), new(map[string]any), new(any)} {
		_ = json.NewDecoder(bytes.NewReader(text)).Decode(read)
		_ = json.Unmarshal(text, read)
	}
}
