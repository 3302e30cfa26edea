package fakedynamodb

import "slices"

type keyElement struct{ AttributeName, KeyType string }

type attributeDefinition struct {
	AttributeName string
	AttributeType kind
}

type throughput struct{ ReadCapacityUnits, WriteCapacityUnits int64 }

type createTableInput struct {
	unsupported
	TableName             string
	KeySchema             []keyElement
	AttributeDefinitions  []attributeDefinition
	BillingMode           string
	ProvisionedThroughput *throughput
}

const (
	onDemand    = "PAY_PER_REQUEST"
	provisioned = "PROVISIONED"
)

// createTable creates a table that is ACTIVE at once:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
func (d *DynamoDB) createTable(in *createTableInput) (any, error) {
	if in.BillingMode == "" {
		in.BillingMode = provisioned
	}
	t := &table{name: in.TableName, description: *in, created: d.options.Clock()}
	switch {
	case !tableName.MatchString(in.TableName):
		_, err := d.table(in.TableName)
		return nil, err
	case in.BillingMode != onDemand && in.BillingMode != provisioned:
		return nil, invalidf("BillingMode must be %s or %s, it is %q", provisioned, onDemand, in.BillingMode)
	case in.BillingMode == onDemand && in.ProvisionedThroughput != nil:
		return nil, invalidf("One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	case in.BillingMode == provisioned && (in.ProvisionedThroughput == nil || in.ProvisionedThroughput.ReadCapacityUnits < 1 || in.ProvisionedThroughput.WriteCapacityUnits < 1):
		return nil, invalidf("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	case len(in.KeySchema) < 1 || len(in.KeySchema) > 2:
		return nil, invalidf("KeySchema must have 1 or 2 elements, it has %d", len(in.KeySchema))
	}
	for i, e := range in.KeySchema {
		if want := []string{"HASH", "RANGE"}[i]; e.KeyType != want {
			return nil, invalidf("Invalid KeySchema: element %d is not a %s key type", i+1, want)
		}
		j := slices.IndexFunc(in.AttributeDefinitions, func(a attributeDefinition) bool { return a.AttributeName == e.AttributeName })
		if j < 0 || e.AttributeName == "" || t.isKey(e.AttributeName) {
			return nil, invalidf("Invalid KeySchema: Some index key attribute have no definition")
		}
		k := in.AttributeDefinitions[j].AttributeType
		if !k.isOrdered() {
			return nil, invalidf("AttributeType of %s must be S, N or B, it is %q", e.AttributeName, k)
		}
		t.key = append(t.key, attribute{e.AttributeName, k})
	}
	if len(in.AttributeDefinitions) != len(t.key) {
		return nil, invalidf("One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	if d.tables[in.TableName] != nil {
		return nil, failf(codeInUse, "Table already exists: %s", in.TableName)
	}
	d.tables[in.TableName] = t
	return map[string]any{"TableDescription": t.describe()}, nil
}
