/*
 * vfork: the child runs on the parent's stack and returns from here first, so that nothing on the stack survives
 * until the parent returns. The return address is kept in a register, of which the parent and the child have one
 * each; as glibc's own vfork keeps it (the system call leaves all but rax, rcx and r11 alone).
 */
    .text
    .globl vfork
    .type vfork, @function
vfork:
    .cfi_startproc
    endbr64
    movq (%rsp), %rdi
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    call vfork_before
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    testl %eax, %eax
    jne .Loff
    popq %rdi
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rdi
    movl $58, %eax
    syscall
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rip, 0
    testl %eax, %eax
    je .Lchild
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    movl %eax, %ebx
    movl %eax, %edi
    call vfork_after
    movl $-1, %eax
    testl %ebx, %ebx
    cmovnsl %ebx, %eax
    popq %rbx
    .cfi_adjust_cfa_offset -8
.Lchild:
    ret
.Loff:
    movl $-1, %eax
    ret
    .cfi_endproc
    .size vfork, . - vfork

    .globl __vfork
    .type __vfork, @function
    .set __vfork, vfork

    .section .note.GNU-stack, "", @progbits
