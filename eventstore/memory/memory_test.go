package memory_test

import (
	"testing"

	"zujian/eventstore"
	"zujian/eventstore/memory"
	"zujian/eventstore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) eventstore.Store { return new(memory.Store) })
}
