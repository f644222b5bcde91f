// SPDX-License-Identifier: Apache-2.0

package session

func (m *Machine) verify([]Effect) {}
