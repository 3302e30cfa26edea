package mapping

// SavedObjects returns what OpenSearch Dashboards is to have for the documents, each
// saved object as a line of JSON, in an order in which what is referred to comes
// first. Their ids begin with the prefix: an import overwrites those of before, and
// leaves those of another prefix alone.
// See https://docs.opensearch.org/latest/dashboards/management/saved-objects/.
func (m *Mapper) SavedObjects() ([][]byte, error) {
	pattern, err := m.IndexPattern()
	if err != nil {
		return nil, err
	}
	return [][]byte{pattern}, nil
}
